import * as tf from '@tensorflow/tfjs-core';

import {channelAxis} from '../channel_view.js';
import {constant} from './constant.js';

/** A weight for each value of x, or an array that broadcasts to that. */
export interface Weighting {
  /** Of the rank of x, each dimension being x's or 1. */
  weights: tf.Tensor;
  /** Added to the sum of the weights before dividing by it. */
  offset: number;
}

export interface WeightedMoments {
  /** [channels] each. */
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
  /** The sum of the weights of each channel. */
  count: tf.Tensor1D;
}

/**
 * Σwx/Σw and Σw(x − mean)²/Σw for each channel, gradients included: the moments of masks
 * (weights 0 and 1) and of weights an example.
 */
export function weightedMoments(
  x: tf.Tensor,
  axis: number,
  {weights, offset}: Weighting,
): WeightedMoments {
  const channel = channelAxis(x.rank, axis);
  const axes = x.shape.map((_, i) => i).filter(i => i !== channel);
  const perValue = tf.broadcastTo(weights, x.shape);
  const count = tf.sum(perValue, axes, true);
  const divisor = withoutZeros(tf.add(count, offset));
  const mean = tf.div(tf.sum(tf.mul(x, perValue), axes, true), divisor);
  const squares = tf.mul(tf.square(tf.sub(x, mean)), perValue);
  const variance = tf.div(tf.sum(squares, axes, true), divisor);
  const channels: [number] = [x.shape[channel]];
  return {
    mean: tf.reshape(mean, channels),
    variance: tf.reshape(variance, channels),
    count: tf.reshape(count, channels),
  };
}

/** 1 in place of 0: weights that are all 0 have moments that are 0. */
function withoutZeros(divisor: tf.Tensor): tf.Tensor {
  return tf.add(divisor, tf.cast(tf.equal(constant(divisor), 0), 'float32'));
}
