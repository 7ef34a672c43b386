/** Reductions over all axes but that of the channels, and the shapes that broadcast over them. */
import * as tf from '@tensorflow/tfjs-core';

import {channelView} from '../../channel_view.js';

/**
 * x as [outer, channels, inner] (see channel_view.ts), or [outer, channels] where inner is 1:
 * ops over that are faster on every backend.
 */
export function asChannelView(x: tf.Tensor, axis: number): tf.Tensor {
  const [outer, channels, inner] = channelView(x.shape, axis);
  return tf.reshape(x, inner === 1 ? [outer, channels] : [outer, channels, inner]);
}

/** The shape in which a [channels] tensor broadcasts over `view`. */
export function broadcastShape(view: tf.Tensor): number[] {
  return view.shape.map((size, axis) => (axis === 1 ? size : 1));
}

/** The mean of each channel, in the shape that broadcasts over `view`. */
export function channelMean(view: tf.Tensor): tf.Tensor {
  const [, channels] = view.shape as number[];
  const count = view.size / channels;
  return tf.div(channelSum(view), count);
}

/**
 * The sum of each channel, in the shape that broadcasts over `view`. Long sums are made of
 * shorter ones: a backend may add up one value after the other in float32, which is off by
 * more than the values themselves after a million of them.
 */
export function channelSum(view: tf.Tensor): tf.Tensor {
  const [outer, channels, inner = 1] = view.shape;
  const rows = inner === 1 ? view : sumOfColumns(view, outer * channels, inner);
  const sums = sumOfRows(tf.reshape(rows, [outer, channels]));
  return tf.reshape(sums, broadcastShape(view));
}

/** [rows, columns] → [columns]. */
function sumOfRows(x: tf.Tensor): tf.Tensor {
  const [rows, columns] = x.shape;
  const parts = partsOf(rows);
  if (parts === 1) return tf.sum(x, 0);
  const sums = tf.sum(tf.reshape(x, [rows / parts, parts * columns]), 0);
  return tf.sum(tf.reshape(sums, [parts, columns]), 0);
}

/** Any shape of [rows, columns] → [rows]. */
function sumOfColumns(x: tf.Tensor, rows: number, columns: number): tf.Tensor {
  const parts = partsOf(columns);
  const sums = tf.sum(tf.reshape(x, [rows, parts, columns / parts]), 2);
  return parts === 1 ? sums : tf.sum(sums, 1);
}

/** Into how many equal parts a sum is split: about its root, where it is long. */
function partsOf(length: number): number {
  if (length < 4096) return 1;
  let parts = Math.floor(Math.sqrt(length));
  while (length % parts !== 0) --parts;
  return parts;
}
