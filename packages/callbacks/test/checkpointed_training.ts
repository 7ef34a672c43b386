/** A training that saves each step, for tests that stop it and look what is left. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {ResBatchNorm} from '@resbatchnorm/layer';

import {remainingBatches} from '../src';
import {hasCheckpoints, ModelCheckpoint, resume} from '../src/node';

export const stepsPerEpoch = 7;

/** The same each time. */
export function makeModel(): tfl.LayersModel {
  const kernelInitializer = tfl.initializers.randomNormal({stddev: 0.5, seed: 1});
  const layers = [
    tfl.layers.dense({units: 4, inputShape: [3], kernelInitializer}),
    new ResBatchNorm(),
    tfl.layers.dense({units: 1, kernelInitializer}),
  ];
  const model = tfl.sequential({layers});
  model.compile({loss: 'meanSquaredError', optimizer: 'adam', metrics: ['mse']});
  return model;
}

/** The batch of a step, counted over all epochs. */
export function batchOf(step: number): {xs: tf.Tensor2D; ys: tf.Tensor2D} {
  const xs = tf.randomNormal([8, 3], 1, 2, 'float32', step + 1) as tf.Tensor2D;
  return {xs, ys: tf.sum(xs, 1, true)};
}

function batchesFrom(epoch: number) {
  const iterator = async () => {
    let step = epoch * stepsPerEpoch;
    return {next: async () => ({value: batchOf(step++), done: false as const})};
  };
  return {size: Infinity, iterator};
}

class AfterEachStep extends tfl.Callback {
  constructor(private readonly act: () => void) {
    super();
  }

  override async onBatchEnd(): Promise<void> {
    this.act();
  }
}

/**
 * Trains on for 1000 epochs, from the newest checkpoint in the folder if there is one. `onSaved`
 * is called after each step, which is saved then.
 */
export async function train(
  path: string,
  {keep = 3, onSaved = () => {}}: {keep?: number; onSaved?: () => void},
): Promise<void> {
  const {model, epoch, stepInEpoch} = (await hasCheckpoints(path))
    ? await resume(path)
    : {model: makeModel(), epoch: 0, stepInEpoch: 0};
  const batchesPerEpoch = stepsPerEpoch;
  const batches = remainingBatches(batchesFrom(epoch), {stepInEpoch, batchesPerEpoch});
  await model.fitDataset(batches, {
    epochs: 1000,
    initialEpoch: epoch,
    verbose: 0,
    callbacks: [
      new ModelCheckpoint({path, everySteps: 1, keep}),
      new AfterEachStep(onSaved),
    ],
  });
}

/** The bits of all weights. */
export async function bitsOf(model: tfl.LayersModel): Promise<string> {
  const values = await Promise.all(model.weights.map(weight => weight.read().data()));
  return values
    .map(({buffer, byteOffset, byteLength}) =>
      Buffer.from(buffer, byteOffset, byteLength).toString('hex'),
    )
    .join(' ');
}
