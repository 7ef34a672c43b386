import * as tf from '@tensorflow/tfjs-core';

import type {BatchNormOptions} from './batch_norm_training.js';
import {channelAxis} from '../kernels/channel_view.js';
import {checkNormInputs} from './check_norm_inputs.js';
import {emptyBatch} from './empty_batch.js';
import {ACTIVATED_INFERENCE, INFERENCE} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';
import './inference_gradient.js';

/**
 * Batch normalization in inference mode: as in training mode, with the mean and the variance
 * given. Every input has a gradient.
 */
export function batchNormInference<T extends tf.Tensor>(
  x: T,
  gamma: tf.Tensor1D | null,
  beta: tf.Tensor1D | null,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D,
  options: BatchNormOptions = {},
): T {
  const {axis = -1, epsilon = 1e-3, shortcut = null, activation = 'linear'} = options;
  checkNormInputs('batchNormInference', x, {gamma, beta, mean, variance}, options);
  return tf.tidy(() => {
    const channels: [number] = [x.shape.at(axis)!];
    const affine = {gamma: gamma ?? tf.ones(channels), beta: beta ?? tf.zeros(channels)};
    if (x.size === 0) return emptyBatch(x, affine, shortcut);
    const [y] = runKernel(
      activation === 'linear' ? INFERENCE : ACTIVATED_INFERENCE,
      {x, ...affine, mean, variance, ...(shortcut !== null && {shortcut})},
      {
        axis: channelAxis(x.rank, axis),
        epsilon,
        activation,
        hasShortcut: shortcut !== null,
      },
    );
    return y as T;
  });
}
