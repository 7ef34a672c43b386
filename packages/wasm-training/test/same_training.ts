/** Trains a model on the backend under test and on cpu, and compares losses and weights. */
import * as tf from '@tensorflow/tfjs-core';
import type {LayersModel} from '@tensorflow/tfjs-layers';

import {Random} from './random';

declare const backendUnderTest: string;

/** A compiled model, a batch of inputs and its targets. */
export interface Training {
  model: LayersModel;
  x: tf.Tensor;
  y: tf.Tensor;
}

/** Values in [low, 1), the same in every run. */
export function randomTensor(shape: number[], low = -1): tf.Tensor {
  const random = new Random(11).values(tf.util.sizeFromShape(shape));
  return tf.tensor(
    random.map(value => low + ((1 - low) * (value + 1)) / 2),
    shape,
  );
}

/** Gives a model weights that are the same in every run. */
export function setRandomWeights(model: LayersModel): void {
  const random = new Random(5);
  const weights = model.getWeights().map(weight => {
    const fanIn = weight.size / weight.shape[weight.rank - 1];
    return tf.tensor(
      random.values(weight.size).map(value => value / Math.sqrt(fanIn)),
      weight.shape,
    );
  });
  model.setWeights(weights);
  tf.dispose(weights);
}

/** Trains `steps` steps from random weights; loss and weights after each step. */
async function train(backend: string, build: () => Training, steps: number) {
  await tf.setBackend(backend);
  const {model, x, y} = build();
  setRandomWeights(model);
  const results: ArrayLike<number>[] = [];
  for (let step = 0; step < steps; step++) {
    results.push([(await model.trainOnBatch(x, y)) as number]);
    for (const weight of model.getWeights()) results.push(await weight.data());
  }
  tf.dispose([x, y]);
  model.dispose();
  return results;
}

/**
 * Expects the losses and all weights of the first training steps to be finite and those of
 * the cpu backend.
 */
export async function expectTrainingAsOnCpu(
  build: () => Training,
  {steps = 1, rtol = 1e-4, atol = 1e-5} = {},
): Promise<void> {
  const expected = await train('cpu', build, steps);
  const received = await train(backendUnderTest, build, steps);
  expect(received).toHaveLength(expected.length);
  for (const [i, values] of expected.entries()) {
    expect(Array.from(values).every(Number.isFinite)).toBe(true);
    await expect(received[i]).toBeAllclose(values, {rtol, atol});
  }
}
