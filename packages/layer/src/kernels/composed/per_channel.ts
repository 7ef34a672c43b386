/** Reductions over all that is not the channel, and the shapes that broadcast over it. */
import * as tf from '@tensorflow/tfjs-core';

/**
 * Drops a trailing dimension of 1: ops over [n, channels] are faster than over
 * [n, channels, 1] on every backend.
 */
export function squeezeInner(x: tf.Tensor): tf.Tensor {
  const [outer, channels, inner] = x.shape;
  return inner === 1 ? tf.reshape(x, [outer, channels]) : x;
}

/** The shape in which a [channels] tensor broadcasts over `squeezed`. */
export function broadcastShape(squeezed: tf.Tensor): number[] {
  return squeezed.shape.map((size, axis) => (axis === 1 ? size : 1));
}

/** The mean of each channel, in the shape that broadcasts over `squeezed`. */
export function channelMean(squeezed: tf.Tensor): tf.Tensor {
  const [, channels] = squeezed.shape as number[];
  const count = squeezed.size / channels;
  return tf.div(channelSum(squeezed), count);
}

/**
 * The sum of each channel, in the shape that broadcasts over `squeezed`. Long sums are made of
 * shorter ones: a backend may add up one value after the other in float32, which is off by
 * more than the values themselves after a million of them.
 */
export function channelSum(squeezed: tf.Tensor): tf.Tensor {
  const [outer, channels, inner = 1] = squeezed.shape;
  const rows = inner === 1 ? squeezed : sumOfColumns(squeezed, outer * channels, inner);
  const sums = sumOfRows(tf.reshape(rows, [outer, channels]));
  return tf.reshape(sums, broadcastShape(squeezed));
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
