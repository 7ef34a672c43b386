/**
 * Batches whose mean is large against their standard deviation. TensorFlow's ops round the
 * mean to float32, and what that is off by is then part of all that they return. So, on the
 * CPU, where to look at the statistics costs next to nothing, such a batch is normalized again
 * with its mean subtracted, and the reserve is that shift and the mean of what is left.
 */
import type {Tensor, TensorInfo} from '@tensorflow/tfjs-core';

import {perChannelShape} from '../channel_view.js';
import {read, type TensorFlowBackend} from './backend.js';
import type {Statistics} from './norm_strategy.js';
import {reshape, sub} from './ops.js';

/** A mean of so many standard deviations makes an error of 1e-6 of one. */
const MAX_RATIO = 8;

export function isFarFromZero(
  backend: TensorFlowBackend,
  {mean, variance}: Statistics,
  epsilon: number,
): boolean {
  const means = read(backend, mean);
  const variances = read(backend, variance);
  for (let c = 0; c < means.length; ++c) {
    if (means[c] ** 2 > MAX_RATIO ** 2 * (variances[c] + epsilon)) return true;
  }
  return false;
}

/** x less a value a channel. */
export function shifted(
  backend: TensorFlowBackend,
  x: TensorInfo,
  shift: TensorInfo,
  axis: number,
): Tensor {
  const isLast = axis === x.shape.length - 1;
  const shape = isLast ? shift.shape : perChannelShape(x.shape, axis);
  return sub(backend, x, reshape(backend, shift, shape));
}
