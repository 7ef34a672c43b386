import * as tf from '@tensorflow/tfjs-core';

import type {NormalizedBatch} from './batch_norm_training.js';

/**
 * Ghost batch normalization: splits the batch into virtual ones of `size` examples, each of
 * which is normalized alone, and averages their statistics. With B/size = G virtual batches,
 * example i is in the one of number i mod G, as in tf.layers v1.
 *
 * Source: Hoffer, Hubara and Soudry, "Train longer, generalize better", 2017.
 */
export function overVirtualBatches(
  x: tf.Tensor,
  size: number,
  normalize: (virtualBatch: tf.Tensor) => NormalizedBatch,
): NormalizedBatch {
  const [batch, ...rest] = x.shape;
  // Not only for speed: tfjs has no gradient for unstacking into one.
  if (batch === size) return normalize(x);
  const virtual = tf.unstack(tf.reshape(x, [size, batch / size, ...rest]), 1);
  const parts = virtual.map(normalize);
  const average = (statistics: tf.Tensor[]) =>
    tf.mean(tf.stack(statistics), 0) as tf.Tensor1D;
  return {
    y: tf.reshape(
      tf.stack(
        parts.map(({y}) => y),
        1,
      ),
      x.shape,
    ),
    mean: average(parts.map(({mean}) => mean)),
    variance: average(parts.map(({variance}) => variance)),
  };
}
