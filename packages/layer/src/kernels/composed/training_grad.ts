import * as tf from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {broadcastShape, channelMean, channelSum, squeezeInner} from './per_channel.js';

export type TrainingGradTensors = Record<
  'dy' | 'x' | 'gamma' | 'mean' | 'variance',
  tf.Tensor
>;

/**
 * The gradient of y = gamma·x̂ + beta with x̂ = (x − mean)·r and r = 1/√(variance + epsilon),
 * mean and variance being functions of x. Over the n values of a channel
 *
 *     dbeta  = Σ dy
 *     dgamma = Σ dy·x̂
 *     dx     = gamma·r·(dy − dbeta/n − x̂·dgamma/n)
 *
 * Source: Ioffe and Szegedy, "Batch Normalization", 2015, section 3, simplified.
 */
export function trainingGrad(
  {dy, x, gamma, mean, variance}: TrainingGradTensors,
  {epsilon}: NormAttrs,
): tf.Tensor[] {
  const squeezedDy = squeezeInner(dy);
  const squeezedX = squeezeInner(x);
  const shape = broadcastShape(squeezedX);
  const r = tf.rsqrt(tf.add(tf.reshape(variance, shape), epsilon));
  const rough = tf.sub(squeezedX, tf.reshape(mean, shape));
  // A large mean is off in float32's last digit; what is left of it shifts all of x̂.
  const centered = tf.sub(rough, channelMean(rough));
  const normalized = tf.mul(centered, r);
  const dbeta = channelSum(squeezedDy);
  const dgamma = channelSum(tf.mul(squeezedDy, normalized));
  const n = x.size / gamma.size;
  const dx = tf.mul(
    tf.sub(tf.sub(squeezedDy, tf.div(dbeta, n)), tf.mul(normalized, tf.div(dgamma, n))),
    tf.mul(tf.reshape(gamma, shape), r),
  );
  return [
    tf.reshape(dx, x.shape),
    tf.reshape(dgamma, gamma.shape),
    tf.reshape(dbeta, gamma.shape),
  ];
}
