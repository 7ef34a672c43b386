import * as tf from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {activate} from './activation.js';
import {asChannelView, broadcastShape, channelMean} from './per_channel.js';

export type TrainingTensors = Record<'x' | 'gamma' | 'beta', tf.Tensor> & {
  shortcut?: tf.Tensor;
};

export interface Moments {
  mean: tf.Tensor;
  variance: tf.Tensor;
  /** x less a mean that was computed first and may be off in its last digits … */
  centered: tf.Tensor;
  /** … and the mean of that, which would be 0 if it were not. */
  residual: tf.Tensor;
}

/**
 * Mean and biased variance of each channel of a view (per_channel.ts) by the corrected two-pass algorithm: the mean
 * first, then the moments of what is left. E[x²] − E[x]² would lose all digits in float32
 * where the mean is large against the standard deviation.
 *
 * Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
 */
export function moments(view: tf.Tensor): Moments {
  const roughMean = channelMean(view);
  const centered = tf.sub(view, roughMean);
  const residual = channelMean(centered);
  const variance = tf.maximum(
    tf.sub(channelMean(tf.square(centered)), tf.square(residual)),
    0,
  );
  return {mean: tf.add(roughMean, residual), variance, centered, residual};
}

export function training(
  {x, gamma, beta, shortcut}: TrainingTensors,
  {axis, epsilon, activation}: NormAttrs,
): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const shape = broadcastShape(view);
  const {mean, variance, centered, residual} = moments(view);
  const scale = tf.mul(tf.reshape(gamma, shape), tf.rsqrt(tf.add(variance, epsilon)));
  const offset = tf.sub(tf.reshape(beta, shape), tf.mul(residual, scale));
  const norm = tf.add(tf.mul(centered, scale), offset);
  const y = activate(norm, shortcut && asChannelView(shortcut, axis), activation);
  return [
    tf.reshape(y, x.shape),
    tf.reshape(mean, gamma.shape),
    tf.reshape(variance, gamma.shape),
  ];
}
