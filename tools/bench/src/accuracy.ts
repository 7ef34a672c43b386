/** How far the norms are from float64, on values of mean 0 and standard deviation 1. */
import {resBatchNorm} from '@resbatchnorm/layer';
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

import {epsilon, type Norm, norms, withKernelsOf} from './norms.js';
import type {Errors} from './requests.js';

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
