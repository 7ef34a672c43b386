import * as tf from '@tensorflow/tfjs-core';

import {follow} from './exponential.js';
import type {Rule} from './rules.js';

/**
 * The statistics of batch renormalization, as Keras 3 keeps them: renorm_mean and renorm_stddev
 * for training, with a momentum of their own; moving_mean and moving_stddev for inference,
 * moving_variance being derived from that.
 */
export const renorm: Rule = (
  {moving_mean, moving_stddev, renorm_mean, renorm_stddev},
  {mean, variance},
  {momentum, renormMomentum, epsilon},
) => {
  const stddev = tf.sqrt(tf.add(variance, epsilon));
  const nextStddev = follow(moving_stddev, stddev, momentum);
  return {
    moving_mean: follow(moving_mean, mean, momentum),
    moving_variance: tf.relu(tf.sub(tf.square(nextStddev), epsilon)),
    moving_stddev: nextStddev,
    renorm_mean: follow(renorm_mean, mean, renormMomentum),
    renorm_stddev: follow(renorm_stddev, stddev, renormMomentum),
  };
};
