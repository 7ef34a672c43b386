import * as tf from '@tensorflow/tfjs-core';

import {follow} from './exponential.js';
import type {Rule} from './rules.js';

/**
 * `zero_debias_moving_mean` of tf.contrib.layers.batch_norm: the moving mean is an average
 * that starts at 0, divided by the weight that it has gathered, so that it is right from the
 * first step on. The moving variance is an exponential moving average.
 *
 * Source: Kingma and Ba, "Adam", 2015, section 3.
 */
export const zeroDebiased: Rule = (
  {moving_variance, moving_mean_biased, moving_mean_local_step},
  {mean, variance},
  {momentum},
) => {
  const biased = follow(moving_mean_biased, mean, momentum);
  const step = tf.add(moving_mean_local_step, tf.scalar(1, 'int32'));
  const gathered = tf.sub(1, tf.pow(tf.scalar(momentum), tf.cast(step, 'float32')));
  return {
    moving_mean: tf.div(biased, gathered),
    moving_variance: follow(moving_variance, variance, momentum),
    moving_mean_biased: biased,
    moving_mean_local_step: step,
  };
};
