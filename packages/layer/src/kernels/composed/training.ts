import * as tf from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {broadcastShape, channelMean, squeezeInner} from './per_channel.js';

export interface Moments {
  mean: tf.Tensor;
  variance: tf.Tensor;
  /** x less a mean that was computed first and may be off in its last digits … */
  centered: tf.Tensor;
  /** … and the mean of that, which would be 0 if it were not. */
  residual: tf.Tensor;
}

/**
 * Mean and biased variance of each channel by the corrected two-pass algorithm: the mean
 * first, then the moments of what is left. E[x²] − E[x]² would lose all digits in float32
 * where the mean is large against the standard deviation.
 *
 * Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
 */
export function moments(squeezed: tf.Tensor): Moments {
  const roughMean = channelMean(squeezed);
  const centered = tf.sub(squeezed, roughMean);
  const residual = channelMean(centered);
  const variance = tf.maximum(
    tf.sub(channelMean(tf.square(centered)), tf.square(residual)),
    0,
  );
  return {mean: tf.add(roughMean, residual), variance, centered, residual};
}

export function training(
  {x, gamma, beta}: Record<'x' | 'gamma' | 'beta', tf.Tensor>,
  {epsilon}: NormAttrs,
): tf.Tensor[] {
  const squeezed = squeezeInner(x);
  const shape = broadcastShape(squeezed);
  const {mean, variance, centered, residual} = moments(squeezed);
  const scale = tf.mul(tf.reshape(gamma, shape), tf.rsqrt(tf.add(variance, epsilon)));
  const offset = tf.sub(tf.reshape(beta, shape), tf.mul(residual, scale));
  const y = tf.add(tf.mul(centered, scale), offset);
  return [
    tf.reshape(y, x.shape),
    tf.reshape(mean, gamma.shape),
    tf.reshape(variance, gamma.shape),
  ];
}
