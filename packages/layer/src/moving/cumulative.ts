import * as tf from '@tensorflow/tfjs-core';

import type {Rule} from './rules.js';

/**
 * The plain average over all batches so far, which are counted: `momentum=None` of PyTorch.
 * What the statistics were initialized to does not count.
 */
export const cumulative: Rule = (
  {moving_mean, moving_variance, num_batches_tracked},
  {mean, variance},
) => {
  const count = tf.add(num_batches_tracked, tf.scalar(1, 'int32'));
  const weight = tf.div(1, tf.cast(count, 'float32'));
  const average = (moving: tf.Tensor, batch: tf.Tensor) =>
    tf.add(moving, tf.mul(tf.sub(batch, moving), weight));
  return {
    moving_mean: average(moving_mean, mean),
    moving_variance: average(moving_variance, variance),
    num_batches_tracked: count,
  };
};
