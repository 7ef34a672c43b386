import * as tf from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {broadcastShape} from './per_channel.js';

type InferenceTensors = Record<'x' | 'gamma' | 'beta' | 'mean' | 'variance', tf.Tensor>;

/** y = (x − mean)·gamma/√(variance + epsilon) + beta, each statistic being a constant. */
export function inference(
  {x, gamma, beta, mean, variance}: InferenceTensors,
  {epsilon}: NormAttrs,
): tf.Tensor[] {
  const [outer, channels, inner] = x.shape;
  if (inner === 1) {
    // Every backend has a kernel that does this in one pass where the channels come last.
    const y = tf.batchNorm4d(
      tf.reshape(x, [outer, 1, 1, channels]),
      mean as tf.Tensor1D,
      variance as tf.Tensor1D,
      beta as tf.Tensor1D,
      gamma as tf.Tensor1D,
      epsilon,
    );
    return [tf.reshape(y, x.shape)];
  }
  const shape = broadcastShape(x);
  const scale = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
  const centered = tf.sub(x, tf.reshape(mean, shape));
  return [tf.add(tf.mul(centered, tf.reshape(scale, shape)), tf.reshape(beta, shape))];
}
