import {remainingBatches, type ResumedTraining} from '@resbatchnorm/callbacks';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {type Normalization, trainingBatches} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';
import {CosineSchedule} from './learning_rate.js';
import type {Options} from './options.js';

type TrainOptions = Pick<Options, 'epochs' | 'batchSize' | 'learningRate' | 'seed'>;

/** Where a training begins. */
export type Start = Pick<ResumedTraining, 'epoch' | 'stepInEpoch' | 'step'>;

/**
 * Trains with SGD and Nesterov momentum 0.9, and the given callbacks. A model that comes from a
 * checkpoint has its optimizer already.
 */
export async function train(
  model: tfl.LayersModel,
  dataset: ImageDataset,
  normalization: Normalization,
  {epochs, batchSize, learningRate, seed}: TrainOptions,
  callbacks: tfl.Callback[],
  {epoch, stepInEpoch, step}: Start = {epoch: 0, stepInEpoch: 0, step: 0},
): Promise<tfl.History> {
  if (model.optimizer == null) {
    const optimizer = tf.train.momentum(learningRate, 0.9, true);
    model.compile({optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy']});
  }
  const batchesPerEpoch = Math.ceil(dataset.train.labels.length / batchSize);
  const schedule = new CosineSchedule(
    model.optimizer as tf.MomentumOptimizer,
    learningRate,
    epochs * batchesPerEpoch,
    step,
  );
  const batches = trainingBatches(dataset, normalization, {
    batchSize,
    seed,
    firstEpoch: epoch,
  });
  return model.fitDataset(remainingBatches(batches, {stepInEpoch, batchesPerEpoch}), {
    epochs,
    initialEpoch: epoch,
    verbose: 0,
    callbacks: [schedule, ...callbacks],
  });
}
