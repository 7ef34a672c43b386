/**
 * Batch normalization as two ops, in training mode and in inference mode, for any rank and axis:
 * what they check, what they make of an empty batch, and which kernel they run.
 */
import * as tf from '@tensorflow/tfjs-core';

import {describe, ValueError} from '../errors.js';
import {channelAxis} from '../channel_view.js';
import {
  ACTIVATED_INFERENCE,
  ACTIVATED_TRAINING,
  fusedActivations,
  INFERENCE,
  isFusedActivation,
  TRAINING,
  type FusedActivation,
  type KernelName,
} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';
import './gradients.js';

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
  checkInputs('batchNormTraining', x, {gamma, beta}, options);
  return tf.tidy(() => {
    const kernel = isActivated(options) ? ACTIVATED_TRAINING : TRAINING;
    const [y, mean, variance] = normalize(kernel, x, gamma, beta, {}, options);
    return {
      y: y as T,
      mean: mean as tf.Tensor1D,
      variance: variance as tf.Tensor1D,
    };
  });
}

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
  checkInputs('batchNormInference', x, {gamma, beta, mean, variance}, options);
  return tf.tidy(() => {
    const kernel = isActivated(options) ? ACTIVATED_INFERENCE : INFERENCE;
    const statistics = {mean, variance};
    return normalize(kernel, x, gamma, beta, statistics, options)[0] as T;
  });
}

function isActivated({activation = 'linear'}: BatchNormOptions): boolean {
  return activation !== 'linear';
}

/** The outputs of the kernel; of an empty batch y and statistics that are 0. */
function normalize(
  kernel: KernelName,
  x: tf.Tensor,
  gamma: tf.Tensor1D | null,
  beta: tf.Tensor1D | null,
  statistics: tf.NamedTensorMap,
  {axis = -1, epsilon = 1e-3, shortcut = null, activation = 'linear'}: BatchNormOptions,
): tf.Tensor[] {
  const channels: [number] = [x.shape.at(axis)!];
  const affine = {gamma: gamma ?? tf.ones(channels), beta: beta ?? tf.zeros(channels)};
  if (x.size === 0) {
    return [emptyBatch(x, affine, shortcut), tf.zeros(channels), tf.zeros(channels)];
  }
  return runKernel(
    kernel,
    {x, ...affine, ...statistics, ...(shortcut !== null && {shortcut})},
    {
      axis: channelAxis(x.rank, axis),
      epsilon,
      activation,
      hasShortcut: shortcut !== null,
    },
  );
}

/**
 * Throws a ValueError unless the axis is one of x's, what is per channel has one value a
 * channel, and the shortcut and the activation can be used.
 */
function checkInputs(
  op: string,
  x: tf.Tensor,
  perChannel: Record<string, tf.Tensor | null>,
  {axis = -1, epsilon = 1e-3, shortcut, activation = 'linear'}: BatchNormOptions,
): void {
  const refuse = (name: string, expected: string, received: unknown): never => {
    throw new ValueError(
      `${op}: ${name} must be ${expected}. Received: ${describe(received)}`,
    );
  };
  if (!(x instanceof tf.Tensor)) refuse('x', 'a tensor', x);
  if (x.rank < 2) refuse('x', 'of rank 2 or more', x.shape);
  if (x.dtype !== 'float32') refuse('x', 'float32', x.dtype);
  if (!Number.isInteger(axis) || axis < -x.rank || axis >= x.rank) {
    refuse('axis', `an integer from ${-x.rank} to ${x.rank - 1}`, axis);
  }
  if (!(epsilon > 0)) refuse('epsilon', 'a number greater than 0', epsilon);
  if (shortcut != null) {
    if (!tf.util.arraysEqual(shortcut.shape, x.shape)) {
      refuse('shortcut', `of the shape of x, ${describe(x.shape)}`, shortcut.shape);
    }
    if (shortcut.dtype !== 'float32') refuse('shortcut', 'float32', shortcut.dtype);
  }
  if (!isFusedActivation(activation)) {
    refuse(
      'activation',
      `one of ${fusedActivations.map(describe).join(', ')}`,
      activation,
    );
  }
  const channels = x.shape.at(axis)!;
  for (const [name, tensor] of Object.entries(perChannel)) {
    if (tensor === null) continue;
    if (tensor.rank !== 1 || tensor.size !== channels) {
      refuse(name, `of shape [${channels}], one value a channel`, tensor.shape);
    }
    if (tensor.dtype !== 'float32') refuse(name, 'float32', tensor.dtype);
  }
}

/**
 * What normalizing no values gives: no values. The gradients of gamma and beta are 0. No
 * kernel has to divide by a count of 0, and no op of a backend has to cope with empty tensors.
 */
function emptyBatch<T extends tf.Tensor>(
  x: T,
  {gamma, beta}: {gamma: tf.Tensor1D; beta: tf.Tensor1D},
  shortcut: tf.Tensor | null,
): T {
  const identity = tf.customGrad((...args) => {
    const [x, ...others] = args.slice(0, -1) as tf.Tensor[];
    const gradFunc = (dy: tf.Tensor) => [
      tf.clone(dy),
      ...others.map(({shape}) => tf.zeros(shape)),
    ];
    return {value: tf.clone(x), gradFunc};
  });
  return identity(x, gamma, beta, ...(shortcut === null ? [] : [shortcut])) as T;
}
