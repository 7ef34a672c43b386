/** The training itself: SGD with Nesterov momentum, and a learning rate that follows a cosine. */
import {remainingBatches} from '@resbatchnorm/callbacks';
import type {ResumedTraining} from '@resbatchnorm/callbacks/node';
import type {Replicas} from '@resbatchnorm/distributed';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {type Normalization, trainingBatches} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';

export interface TrainOptions {
  epochs: number;
  batchSize: number;
  /** The largest learning rate, from which the schedule goes down to 0. */
  learningRate: number;
  /** Of the order of the images. */
  seed: number;
}

/** Where a training begins. */
export type Start = Pick<ResumedTraining, 'epoch' | 'stepInEpoch' | 'step'>;

/**
 * Trains with the given callbacks, together with the other replicas if there are any. A model
 * that comes from a checkpoint has its optimizer already.
 */
export async function train(
  model: tfl.LayersModel,
  dataset: ImageDataset,
  normalization: Normalization,
  {epochs, batchSize, learningRate, seed}: TrainOptions,
  callbacks: tfl.Callback[],
  {epoch, stepInEpoch, step}: Start = {epoch: 0, stepInEpoch: 0, step: 0},
  replicas?: Replicas,
): Promise<tfl.History> {
  if (model.optimizer == null) {
    const optimizer = nesterov(learningRate);
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
  const remaining = remainingBatches(batches, {stepInEpoch, batchesPerEpoch});
  const args = {
    epochs,
    initialEpoch: epoch,
    verbose: 0 as const,
    callbacks: [schedule, ...callbacks],
  };
  return replicas === undefined
    ? model.fitDataset(remaining, args)
    : replicas.fitDataset(model, remaining, args);
}

/** SGD with Nesterov momentum 0.9. */
export function nesterov(learningRate: number): tf.MomentumOptimizer {
  return tf.train.momentum(learningRate, 0.9, true);
}

/**
 * Sets the learning rate of each step: half a cosine from the largest rate down to 0
 * (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017;
 * here without restarts).
 */
export class CosineSchedule extends tfl.Callback {
  /** @param step How many steps are done already, of a training that is resumed. */
  constructor(
    private readonly optimizer: tf.MomentumOptimizer,
    private readonly largestRate: number,
    private readonly totalSteps: number,
    private step = 0,
  ) {
    super();
  }

  override async onBatchBegin(): Promise<void> {
    this.optimizer.setLearningRate(
      cosineRate(this.largestRate, this.step++, this.totalSteps),
    );
  }
}

/** rate(step) = largest · (1 + cos(π · step/totalSteps))/2 */
export function cosineRate(largest: number, step: number, totalSteps: number): number {
  return (largest * (1 + Math.cos((Math.PI * step) / totalSteps))) / 2;
}
