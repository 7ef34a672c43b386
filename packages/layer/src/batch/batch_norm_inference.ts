import * as tf from '@tensorflow/tfjs-core';

import type {BatchNormOptions} from './batch_norm_training.js';
import {channelView} from '../channel_view.js';
import {checkNormInputs} from './check_norm_inputs.js';
import {emptyBatch} from './empty_batch.js';
import {INFERENCE} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';
import '../gradients/inference_gradient.js';

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
  {axis = -1, epsilon = 1e-3}: BatchNormOptions = {},
): T {
  checkNormInputs(
    'batchNormInference',
    x,
    {gamma, beta, mean, variance},
    {axis, epsilon},
  );
  return tf.tidy(() => {
    const view = channelView(x.shape, axis);
    const channels: [number] = [view[1]];
    const affine = {gamma: gamma ?? tf.ones(channels), beta: beta ?? tf.zeros(channels)};
    if (x.size === 0) return emptyBatch(x, affine);
    const inputs = {x: tf.reshape(x, view), ...affine, mean, variance};
    const [y] = runKernel(INFERENCE, inputs, {epsilon});
    return tf.reshape(y, x.shape) as T;
  });
}
