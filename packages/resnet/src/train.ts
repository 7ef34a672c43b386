import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {type Normalization, trainingBatches} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';
import {CosineSchedule} from './learning_rate.js';
import type {Options} from './options.js';

type TrainOptions = Pick<Options, 'epochs' | 'batchSize' | 'learningRate' | 'seed'>;

/** Trains with SGD and Nesterov momentum 0.9, and the given callbacks. */
export async function train(
  model: tfl.LayersModel,
  dataset: ImageDataset,
  normalization: Normalization,
  {epochs, batchSize, learningRate, seed}: TrainOptions,
  callbacks: tfl.Callback[],
): Promise<void> {
  const optimizer = tf.train.momentum(learningRate, 0.9, true);
  model.compile({optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy']});
  const batchesPerEpoch = Math.ceil(dataset.train.labels.length / batchSize);
  const schedule = new CosineSchedule(optimizer, learningRate, epochs * batchesPerEpoch);
  await model.fitDataset(trainingBatches(dataset, normalization, {batchSize, seed}), {
    epochs,
    batchesPerEpoch,
    verbose: 0,
    callbacks: [schedule, ...callbacks],
  });
}
