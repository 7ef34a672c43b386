/**
 * The norms of TensorFlow.js that are compared, in training mode and channels last: what is
 * timed of them, and how far they are from float64.
 */
import {batchNormTraining, resBatchNorm} from '@resbatchnorm/layer';
import {
  type Batch,
  gradientsOf,
  largestError,
  normalize,
  normalValues,
  type Statistics,
  statisticsOf,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import type {Direction} from './cases.js';
import {type PreparedTask, tensorContender} from './contender.js';
import type {Errors} from './requests.js';

const epsilon = 1e-3;

interface Norm {
  /** Whether ResBatchNorm's own kernels run, rather than the composed ones. */
  ownKernels: boolean;
  apply(x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D): tf.Tensor;
}

const ours = (x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D) =>
  batchNormTraining(x, gamma, beta, {epsilon}).y;

const norms = {
  ours: {ownKernels: true, apply: ours},
  composed: {ownKernels: false, apply: ours},
  builtIn: {
    ownKernels: true,
    // What tf.layers.batchNormalization computes in training.
    apply: (x, gamma, beta) => {
      const axes = Array.from({length: x.rank - 1}, (_, axis) => axis);
      const {mean, variance} = tf.moments(x, axes);
      return tf.batchNorm(
        x,
        mean as tf.Tensor1D,
        variance as tf.Tensor1D,
        beta,
        gamma,
        epsilon,
      );
    },
  },
} satisfies Record<string, Norm>;

/** Calls the function with the kernels of that norm. */
function withKernelsOf<T>({ownKernels}: Norm, call: () => T): T {
  tf.env().set('RES_BATCH_NORM_KERNELS', ownKernels);
  try {
    return call();
  } finally {
    tf.env().set('RES_BATCH_NORM_KERNELS', true);
  }
}

/** The norms side by side on one batch of random values. */
export function prepareNorm(
  shape: readonly number[],
  direction: Direction,
): PreparedTask {
  const [x, dy] = [1, 2].map(seed => tf.randomNormal([...shape], 0, 1, 'float32', seed));
  const channels: [number] = [shape.at(-1)!];
  const [gamma, beta] = [tf.ones<tf.Rank.R1>(channels), tf.zeros<tf.Rank.R1>(channels)];
  const calls: Record<Direction, (norm: Norm) => tf.Tensor[]> = {
    forward: norm => [norm.apply(x, gamma, beta)],
    'forward + backward': norm =>
      tf.grads(norm.apply as (...inputs: tf.Tensor[]) => tf.Tensor)([x, gamma, beta], dy),
  };
  const contenders = Object.entries<Norm>(norms).map(([name, norm]) => [
    name,
    tensorContender(() => withKernelsOf(norm, () => calls[direction](norm))),
  ]);
  return {
    contenders: Object.fromEntries(contenders),
    dispose: () => tf.dispose([x, dy, gamma, beta]),
  };
}

/** The errors on values of mean 0 and standard deviation 1. */
export async function measureAccuracy(
  shape: readonly number[],
): Promise<Record<string, Errors>> {
  const batch = makeBatch(shape);
  const dy = normalValues(batch.x.length, {seed: 4});
  const statistics = statisticsOf(batch);
  const {dx, dgamma, dbeta} = gradientsOf(batch, statistics, dy);
  const y = normalize(batch, statistics);
  const expected = {y, dx, dgamma, dbeta};
  const result: Record<string, Errors> = {};
  for (const [name, norm] of Object.entries<Norm>(norms)) {
    result[name] = await errorsOf(trainingOn(batch, dy, norm), expected);
  }
  const inference = {'y in inference mode': y};
  result.ours = {
    ...result.ours,
    ...(await errorsOf(inferenceOn(batch, statistics), inference)),
  };
  return result;
}

function makeBatch(shape: readonly number[]): Batch {
  const channels = shape.at(-1)!;
  return {
    x: normalValues(tf.util.sizeFromShape([...shape])),
    shape: [...shape],
    axis: shape.length - 1,
    gamma: normalValues(channels, {seed: 2, mean: 1, standardDeviation: 0.5}),
    beta: normalValues(channels, {seed: 3}),
    epsilon,
  };
}

function trainingOn(batch: Batch, dyValues: Float32Array, norm: Norm) {
  return tf.tidy(() => {
    const x = tf.tensor(batch.x, batch.shape);
    const dy = tf.tensor(dyValues, batch.shape);
    const [gamma, beta] = [tf.tensor1d(batch.gamma), tf.tensor1d(batch.beta)];
    return withKernelsOf(norm, () => {
      const gradients = tf.valueAndGrads(
        norm.apply as (...inputs: tf.Tensor[]) => tf.Tensor,
      );
      const {value, grads} = gradients([x, gamma, beta], dy);
      const [dx, dgamma, dbeta] = grads;
      return {y: value, dx, dgamma, dbeta};
    });
  });
}

/** With the batch's statistics for the moving ones, what comes out is the same. */
function inferenceOn(batch: Batch, {mean, variance}: Statistics) {
  const layer = resBatchNorm({epsilon, inputShape: batch.shape.slice(1)});
  const model = tfl.sequential({layers: [layer]});
  const y = tf.tidy(() => {
    const weights = [batch.gamma, batch.beta, mean, variance];
    layer.setWeights(weights.map(values => tf.tensor1d(Float32Array.from(values))));
    return layer.apply(tf.tensor(batch.x, batch.shape)) as tf.Tensor;
  });
  model.dispose();
  return {'y in inference mode': y};
}

async function errorsOf(
  actual: Record<string, tf.Tensor>,
  expected: Record<string, Float64Array>,
): Promise<Errors> {
  const errors: Errors = {};
  for (const [name, tensor] of Object.entries(actual)) {
    errors[name] = largestError(await tensor.data(), expected[name]);
    tensor.dispose();
  }
  return errors;
}
