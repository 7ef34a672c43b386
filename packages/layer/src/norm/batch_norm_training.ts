import * as tf from '@tensorflow/tfjs-core';

import {channelAxis} from '../kernels/channel_view.js';
import {checkNormInputs} from './check_norm_inputs.js';
import {emptyBatch} from './empty_batch.js';
import {ACTIVATED_TRAINING, TRAINING, type FusedActivation} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';
import './training_gradient.js';

export interface BatchNormOptions {
  /** The axis of the channels; negative counts from the end. Default −1. */
  axis?: number;
  /** Added to the variance under the root. Default 1e-3. */
  epsilon?: number;
  /** Added to the normalized value before the activation, in the shape of x. Default none. */
  shortcut?: tf.Tensor | null;
  /** Applied at the end, by the same kernel. Default `'linear'`. */
  activation?: FusedActivation;
}

export interface NormalizedBatch<T extends tf.Tensor = tf.Tensor> {
  /** The normalized batch, in the shape of x. */
  y: T;
  /** The batch's mean, [channels]. No gradient flows through it. */
  mean: tf.Tensor1D;
  /** The batch's biased variance, [channels]. No gradient flows through it. */
  variance: tf.Tensor1D;
}

/**
 * Batch normalization in training mode, over all axes but `axis`:
 *
 *     y = activation(gamma·(x − mean)/√(variance + epsilon) + beta + shortcut)
 *
 * with the mean and the biased variance of the batch itself; for an empty batch both are 0. The
 * gradients of x, gamma, beta and the shortcut are computed in closed form by one kernel, and
 * can be differentiated again.
 *
 * @param x Values, of rank 2 or more, with one dimension of size `channels`; float32.
 * @param gamma Scale, [channels]; `null`, the default, for none.
 * @param beta Offset, [channels]; `null`, the default, for none.
 * @throws ValueError if the rank, the axis or the number of channels does not fit.
 */
export function batchNormTraining<T extends tf.Tensor>(
  x: T,
  gamma: tf.Tensor1D | null = null,
  beta: tf.Tensor1D | null = null,
  options: BatchNormOptions = {},
): NormalizedBatch<T> {
  const {axis = -1, epsilon = 1e-3, shortcut = null, activation = 'linear'} = options;
  checkNormInputs('batchNormTraining', x, {gamma, beta}, options);
  return tf.tidy(() => {
    const channels: [number] = [x.shape.at(axis)!];
    const affine = {gamma: gamma ?? tf.ones(channels), beta: beta ?? tf.zeros(channels)};
    if (x.size === 0) {
      const y = emptyBatch(x, affine, shortcut);
      const zeros = () => tf.zeros<tf.Rank.R1>(channels);
      return {y, mean: zeros(), variance: zeros()};
    }
    const [y, mean, variance] = runKernel(
      activation === 'linear' ? TRAINING : ACTIVATED_TRAINING,
      {x, ...affine, ...(shortcut !== null && {shortcut})},
      {
        axis: channelAxis(x.rank, axis),
        epsilon,
        activation,
        hasShortcut: shortcut !== null,
      },
    );
    return {
      y: y as T,
      mean: mean as tf.Tensor1D,
      variance: variance as tf.Tensor1D,
    };
  });
}
