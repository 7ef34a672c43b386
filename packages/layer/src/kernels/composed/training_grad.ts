import * as tf from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {activationGrad} from './activation.js';
import {asChannelView, broadcastShape, channelMean, channelSum} from './per_channel.js';

export type TrainingGradTensors = Record<
  'dy' | 'x' | 'gamma' | 'mean' | 'variance',
  tf.Tensor
> & {y?: tf.Tensor};

/**
 * The gradient of y = activation(z) with z = gamma·x̂ + beta + shortcut, x̂ = (x − mean)·r and
 * r = 1/√(variance + epsilon), mean and variance being functions of x. With dz = dy·activation′
 * and over the n values of a channel
 *
 *     dshortcut = dz
 *     dbeta     = Σ dz
 *     dgamma    = Σ dz·x̂
 *     dx        = gamma·r·(dz − dbeta/n − x̂·dgamma/n)
 *
 * Source: Ioffe and Szegedy, "Batch Normalization", 2015, section 3, simplified.
 */
export function trainingGrad(
  {dy, x, gamma, mean, variance, y}: TrainingGradTensors,
  {axis, epsilon, activation, hasShortcut}: NormAttrs,
): tf.Tensor[] {
  const xView = asChannelView(x, axis);
  const dyView = asChannelView(dy, axis);
  const dz = y ? activationGrad(dyView, asChannelView(y, axis), activation) : dyView;
  const shape = broadcastShape(xView);
  const r = tf.rsqrt(tf.add(tf.reshape(variance, shape), epsilon));
  const rough = tf.sub(xView, tf.reshape(mean, shape));
  // A large mean is off in float32's last digit; what is left of it shifts all of x̂.
  const centered = tf.sub(rough, channelMean(rough));
  const normalized = tf.mul(centered, r);
  const dbeta = channelSum(dz);
  const dgamma = channelSum(tf.mul(dz, normalized));
  const n = x.size / gamma.size;
  const dx = tf.mul(
    tf.sub(tf.sub(dz, tf.div(dbeta, n)), tf.mul(normalized, tf.div(dgamma, n))),
    tf.mul(tf.reshape(gamma, shape), r),
  );
  return [
    tf.reshape(dx, x.shape),
    tf.reshape(dgamma, gamma.shape),
    tf.reshape(dbeta, gamma.shape),
    ...(hasShortcut ? [tf.reshape(dz, x.shape)] : []),
  ];
}
