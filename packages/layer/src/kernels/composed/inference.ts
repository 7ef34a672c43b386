import * as tf from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {activate} from './activation.js';
import {asChannelView, broadcastShape} from './per_channel.js';

type PerChannel = Record<'gamma' | 'beta' | 'mean' | 'variance', tf.Tensor>;

type InferenceTensors = PerChannel & {x: tf.Tensor; shortcut?: tf.Tensor};

/** y = activation((x − mean)·gamma/√(variance + epsilon) + beta + shortcut). */
export function inference(
  {x, shortcut, ...perChannel}: InferenceTensors,
  {axis, epsilon, activation}: NormAttrs,
): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const normalize = view.rank === 2 ? normalizeRows : normalizeView;
  const norm = normalize(view, perChannel, epsilon);
  const y = activate(norm, shortcut && asChannelView(shortcut, axis), activation);
  return [tf.reshape(y, x.shape)];
}

/** Every backend has a kernel that does this in one pass where the channels come last. */
function normalizeRows(
  rows: tf.Tensor,
  {gamma, beta, mean, variance}: PerChannel,
  epsilon: number,
): tf.Tensor {
  const [outer, channels] = rows.shape;
  const norm = tf.batchNorm4d(
    tf.reshape(rows, [outer, 1, 1, channels]),
    mean as tf.Tensor1D,
    variance as tf.Tensor1D,
    beta as tf.Tensor1D,
    gamma as tf.Tensor1D,
    epsilon,
  );
  return tf.reshape(norm, rows.shape);
}

function normalizeView(
  view: tf.Tensor,
  {gamma, beta, mean, variance}: PerChannel,
  epsilon: number,
): tf.Tensor {
  const shape = broadcastShape(view);
  const scale = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
  const centered = tf.sub(view, tf.reshape(mean, shape));
  return tf.add(tf.mul(centered, tf.reshape(scale, shape)), tf.reshape(beta, shape));
}
