import * as tf from '@tensorflow/tfjs-core';

import type {Rule} from './rules.js';

/** moving·momentum + batch·(1 − momentum). */
export function follow(moving: tf.Tensor, batch: tf.Tensor, momentum: number): tf.Tensor {
  return tf.add(tf.mul(moving, momentum), tf.mul(batch, 1 - momentum));
}

/** Both statistics as exponential moving averages: the rule of Keras, and the default. */
export const exponential: Rule = (
  {moving_mean, moving_variance},
  {mean, variance},
  {momentum},
) => ({
  moving_mean: follow(moving_mean, mean, momentum),
  moving_variance: follow(moving_variance, variance, momentum),
});
