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
  return tf.mean(squeezed, reducedAxes(squeezed), true);
}

/** The sum of each channel, in the shape that broadcasts over `squeezed`. */
export function channelSum(squeezed: tf.Tensor): tf.Tensor {
  return tf.sum(squeezed, reducedAxes(squeezed), true);
}

function reducedAxes(squeezed: tf.Tensor): number[] {
  return squeezed.rank === 2 ? [0] : [0, 2];
}
