import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {weightsByName} from './copy_layer.js';

/**
 * The non-trainable weights that a batch norm has for a moving mean and variance that come from
 * elsewhere: those two, and what the layer derives them from in training, without which its
 * next update would go on from the statistics before. What renorm normalizes by in training,
 * and the count of a cumulative average, are not among them.
 */
export function consistentStatistics(
  layer: tfl.layers.Layer,
  {mean, variance}: {mean: tf.Tensor; variance: tf.Tensor},
): tf.NamedTensorMap {
  const {epsilon, momentum} = layer.getConfig() as {epsilon: number; momentum: number};
  const {moving_stddev, moving_mean_biased} = weightsByName(layer);
  const statistics: tf.NamedTensorMap = {moving_mean: mean, moving_variance: variance};
  if (moving_stddev !== undefined) {
    statistics.moving_stddev = tf.sqrt(tf.add(variance, epsilon));
  }
  if (moving_mean_biased !== undefined) {
    // As after so many steps that the average has all its weight, to the precision of float32.
    const steps = momentum === 0 ? 1 : Math.ceil(Math.log(2 ** -24) / Math.log(momentum));
    statistics.moving_mean_biased = mean;
    statistics.moving_mean_local_step = tf.scalar(steps, 'int32');
  }
  return statistics;
}
