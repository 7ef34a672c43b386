import * as tf from '@tensorflow/tfjs-core';

import {asChannelView, channelSum} from '../kernels/composed/per_channel.js';
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
 * (weights 0 and 1) and of weights an example. As without weights, a rough mean comes first.
 */
export function weightedMoments(
  x: tf.Tensor,
  axis: number,
  {weights, offset}: Weighting,
): WeightedMoments {
  const values = asChannelView(x, axis);
  const perValue = asChannelView(tf.broadcastTo(weights, x.shape), axis);
  const count = channelSum(perValue);
  const divisor = withoutZeros(tf.add(count, offset));
  const roughMean = tf.div(channelSum(tf.mul(values, perValue)), divisor);
  const centered = tf.sub(values, roughMean);
  const residual = tf.div(
    tf.sub(
      channelSum(tf.mul(centered, perValue)),
      tf.mul(roughMean, tf.sub(divisor, count)),
    ),
    divisor,
  );
  const squares = tf.mul(tf.square(tf.sub(centered, residual)), perValue);
  const perChannel = (tensor: tf.Tensor) =>
    tf.reshape(tensor, [tensor.size]) as tf.Tensor1D;
  return {
    mean: perChannel(tf.add(roughMean, residual)),
    variance: perChannel(tf.div(channelSum(squares), divisor)),
    count: perChannel(count),
  };
}

/** 1 in place of 0: weights that are all 0 have moments that are 0. */
function withoutZeros(divisor: tf.Tensor): tf.Tensor {
  return tf.add(divisor, tf.cast(tf.equal(constant(divisor), 0), 'float32'));
}
