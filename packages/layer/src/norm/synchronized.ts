/**
 * Batch normalization in training mode over the batches of all replicas: each computes the
 * moments of its own part, they are merged, and all normalize by the same. What the replicas
 * exchange is a few values a channel, in float64, once forward and once backward.
 */
import * as tf from '@tensorflow/tfjs-core';

import {ValueError} from '../errors.js';
import {channelAxis} from '../channel_view.js';
import {
  ACTIVATED_INFERENCE,
  GRAD_SUMS,
  INFERENCE,
  INPUT_GRAD,
  MOMENTS,
  type FusedActivation,
  type NormAttrs,
} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';
import type {ReplicaGroup} from '../replica_group.js';
import type {NormalizedBatch} from './batch_norm.js';

/** The replicas, and the name of the layer, by which they know that they are at the same one. */
export interface Synchronization {
  group: ReplicaGroup;
  layer: string;
}

export interface SynchronizedOptions {
  axis: number;
  epsilon: number;
  shortcut?: tf.Tensor | null;
  activation?: FusedActivation;
}

/** `count`: of how many values the statistics of a channel are, on all replicas together. */
export type SynchronizedBatch = NormalizedBatch & {count: number};

/**
 * As batchNormTraining, with the mean and the biased variance of the values of all replicas.
 *
 * The gradients of gamma, beta and the shortcut are those of this replica's part, which the
 * optimizer joins as it does those of other weights. The gradient of x takes in what x does to
 * the other replicas by way of the moments. A replica's loss is the mean over its own examples;
 * in the loss over all of them it has the weight w, its share of the examples. With
 * dz = dy·activation′, sums over all replicas and their M values a channel
 *
 *     dx = gamma·r·(dz − Σ w·dz/(w·M) − x̂·Σ w·dz·x̂/(w·M))
 *
 * where the w of a sum is that of the replica that a value is on, and the other that of this
 * one. A replica whose share is 0 is normalized by the moments of the others and adds nothing
 * to any sum. These gradients can't be differentiated again.
 *
 * @throws ValueError if a gradient of its gradient is asked for; what `group.gather` throws.
 */
export function synchronizedBatchNorm(
  x: tf.Tensor,
  gamma: tf.Tensor1D | null,
  beta: tf.Tensor1D | null,
  {axis, epsilon, shortcut = null, activation = 'linear'}: SynchronizedOptions,
  {group, layer}: Synchronization,
): SynchronizedBatch {
  const attrs: NormAttrs = {
    axis: channelAxis(x.rank, axis),
    epsilon,
    activation,
    hasShortcut: shortcut !== null,
  };
  const channels = x.shape[attrs.axis];
  const hasExamples = x.size > 0 && group.share > 0;
  const own = hasExamples ? momentsOf(x, attrs) : noMoments(channels);
  const all = merge(
    group
      .gather(
        `moments of ${layer}`,
        Float64Array.of(own.count, ...own.mean, ...own.variance),
      )
      .map(([count, ...values]) => ({
        count,
        mean: values.slice(0, channels),
        variance: values.slice(channels),
      })),
  );
  const mean = vector(all.mean);
  const variance = vector(all.variance);
  // What float32 cuts off the mean, which must not shift the normalized values.
  const rest = all.mean.map(value => value - Math.fround(value));
  const r = all.variance.map(value => 1 / Math.sqrt(value + epsilon));

  function forward(inputs: tf.Tensor[]): tf.Tensor {
    const [x, gamma, beta, shortcut] = inputs;
    if (x.size === 0) return tf.clone(x);
    const [scale, offset] = [gamma, beta].map(values => values.dataSync());
    const exactBeta = vector(rest.map((value, c) => offset[c] - scale[c] * r[c] * value));
    const [y] = runKernel(
      activation === 'linear' ? INFERENCE : ACTIVATED_INFERENCE,
      {x, gamma, beta: exactBeta, mean, variance, ...(shortcut && {shortcut})},
      attrs,
    );
    return y;
  }

  function backward(dy: tf.Tensor, [x, gamma, mean, y]: tf.Tensor[]): tf.Tensor[] {
    if (tf.engine().state.gradientDepth > 0) {
      throw new ValueError(
        `ResBatchNorm '${layer}': the gradient of a synchronized norm can't be differentiated. ` +
          'Received: a gradient in a gradient',
      );
    }
    const isLinear = activation === 'linear';
    const inputs = {dy, x, ...(!isLinear && {y})};
    const own =
      x.size > 0
        ? runKernel(GRAD_SUMS, {...inputs, mean}, attrs)[0].dataSync()
        : new Float32Array(2 * channels);
    const w = group.share;
    const rows = group.gather(
      `gradient sums of ${layer}`,
      Float64Array.from(own, sum => (hasExamples ? w * sum : 0)),
    );
    const sums = rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));
    // Of x̂ = (x − mean − rest)·r, from sums over dz and dz·(x − mean).
    const ofGamma = (sums: ArrayLike<number>) =>
      rest.map((value, c) => r[c] * (sums[channels + c] - value * sums[c]));
    const dgamma = vector(ofGamma(own));
    const dbeta = vector(own.slice(0, channels));
    if (x.size === 0) {
      return [tf.clone(dy), dgamma, dbeta, ...(shortcut ? [tf.clone(dy)] : [])];
    }
    const weight = hasExamples ? 1 / (w * all.count) : 0;
    const scale = gamma.dataSync().map((value, c) => value * r[c]);
    const ofX = ofGamma(sums).map((sum, c) => -scale[c] * r[c] * sum * weight);
    const offset = ofX.map((b, c) => -scale[c] * sums[c] * weight - b * rest[c]);
    const affine = tf.tensor2d(
      Float32Array.of(...all.mean, ...scale, ...ofX, ...offset),
      [4, channels],
    );
    const [dx, dz = dy] = runKernel(
      INPUT_GRAD,
      {...inputs, affine},
      {...attrs, hasShortcut: shortcut !== null && !isLinear},
    );
    return [dx, dgamma, dbeta, ...(shortcut ? [tf.clone(dz)] : [])];
  }

  const normalize = tf.customGrad((...args) => {
    const inputs = args.slice(0, -1) as tf.Tensor[];
    const save = args.at(-1) as tf.GradSaveFunc;
    const value = forward(inputs);
    const [x, gamma] = inputs;
    save([x, gamma, mean, value]);
    return {
      value,
      gradFunc: backward as (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[],
    };
  });
  const y = normalize(
    x,
    gamma ?? tf.ones([channels]),
    beta ?? tf.zeros([channels]),
    ...(shortcut === null ? [] : [shortcut]),
  );
  return {y, mean, variance, count: all.count};
}

/** Of the values of each channel. */
interface Moments {
  count: number;
  mean: ArrayLike<number>;
  /** Biased. */
  variance: ArrayLike<number>;
}

const noMoments = (channels: number) => ({
  count: 0,
  mean: new Float64Array(channels),
  variance: new Float64Array(channels),
});

function momentsOf(x: tf.Tensor, attrs: NormAttrs) {
  const channels = x.shape[attrs.axis];
  const values = Float64Array.from(runKernel(MOMENTS, {x}, attrs)[0].dataSync());
  return {
    count: x.size / channels,
    mean: values.slice(0, channels).map((mean, c) => mean + values[channels + c]),
    variance: values.slice(2 * channels),
  };
}

/**
 * The moments of several sets of values together; those of an empty one count for nothing.
 *
 * Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
 * sample variances", 1979.
 */
function merge(parts: Moments[]) {
  const filled = parts.filter(({count}) => count > 0);
  const all = noMoments(parts[0].mean.length);
  for (const {count} of filled) all.count += count;
  all.mean.forEach((_, c) => {
    for (const {count, mean} of filled) all.mean[c] += (count / all.count) * mean[c];
    for (const {count, mean, variance} of filled) {
      const distance = mean[c] - all.mean[c];
      all.variance[c] += (count / all.count) * (variance[c] + distance * distance);
    }
  });
  return all;
}

function vector(values: ArrayLike<number>): tf.Tensor1D {
  return tf.tensor1d(Float32Array.from(values));
}
