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
  return tf.tidy(() => {
    const {y, mean, variance} = normByBatch(x, gamma, beta, options);
    return {y: y as T, mean, variance};
  });
}

/** {@link batchNormTraining} for callers with a tidy of their own, which takes what is left. */
export function normByBatch(
  x: tf.Tensor,
  gamma: tf.Tensor1D | null,
  beta: tf.Tensor1D | null,
  options: BatchNormOptions,
): NormalizedBatch {
  const perChannel = {gamma, beta, mean: null, variance: null};
  checkInputs('batchNormTraining', x, perChannel, options);
  const kernel = isActivated(options) ? ACTIVATED_TRAINING : TRAINING;
  const outputs = normalize(kernel, x, perChannel, options);
  return {
    y: outputs[0],
    mean: outputs[1] as tf.Tensor1D,
    variance: outputs[2] as tf.Tensor1D,
  };
}

/**
 * Batch normalization in inference mode: as in training mode, with the mean and the variance
 * given. Every input has a gradient. What is made on the way is left to the caller's tidy.
 */
export function batchNormInference(
  x: tf.Tensor,
  gamma: tf.Tensor1D | null,
  beta: tf.Tensor1D | null,
  mean: tf.Tensor1D,
  variance: tf.Tensor1D,
  options: BatchNormOptions = {},
): tf.Tensor {
  const perChannel = {gamma, beta, mean, variance};
  checkInputs('batchNormInference', x, perChannel, options);
  const kernel = isActivated(options) ? ACTIVATED_INFERENCE : INFERENCE;
  return normalize(kernel, x, perChannel, options)[0];
}

/** The inputs that are [channels], all of them, so that every call is of one form. */
type PerChannel = Record<'gamma' | 'beta' | 'mean' | 'variance', tf.Tensor1D | null>;

function isActivated({activation = 'linear'}: BatchNormOptions): boolean {
  return activation !== 'linear';
}

/** The outputs of the kernel; of an empty batch y and statistics that are 0. */
function normalize(
  kernel: KernelName,
  x: tf.Tensor,
  {gamma, beta, mean, variance}: PerChannel,
  {axis = -1, epsilon = 1e-3, shortcut = null, activation = 'linear'}: BatchNormOptions,
): tf.Tensor[] {
  const channel = channelAxis(x.rank, axis);
  const channels: [number] = [x.shape[channel]];
  const inputs: tf.NamedTensorMap = {
    x,
    gamma: gamma ?? tf.ones(channels),
    beta: beta ?? tf.zeros(channels),
  };
  if (x.size === 0) {
    return [emptyBatch(inputs, shortcut), tf.zeros(channels), tf.zeros(channels)];
  }
  if (mean !== null) inputs.mean = mean;
  if (variance !== null) inputs.variance = variance;
  if (shortcut !== null) inputs.shortcut = shortcut;
  const hasShortcut = shortcut !== null;
  return runKernel(kernel, inputs, {axis: channel, epsilon, activation, hasShortcut});
}

/**
 * Throws a ValueError unless the axis is one of x's, what is per channel has one value a
 * channel, and the shortcut and the activation can be used.
 */
function checkInputs(
  op: string,
  x: tf.Tensor,
  {gamma, beta, mean, variance}: PerChannel,
  {axis = -1, epsilon = 1e-3, shortcut, activation = 'linear'}: BatchNormOptions,
): void {
  if (!(x instanceof tf.Tensor)) refuse(op, 'x', 'a tensor', x);
  const {rank, shape} = x;
  if (rank < 2) refuse(op, 'x', 'of rank 2 or more', shape);
  if (x.dtype !== 'float32') refuse(op, 'x', 'float32', x.dtype);
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    refuse(op, 'axis', `an integer from ${-rank} to ${rank - 1}`, axis);
  }
  if (!(epsilon > 0)) refuse(op, 'epsilon', 'a number greater than 0', epsilon);
  if (shortcut != null) {
    if (!tf.util.arraysEqual(shortcut.shape, shape)) {
      refuse(op, 'shortcut', `of the shape of x, ${describe(shape)}`, shortcut.shape);
    }
    if (shortcut.dtype !== 'float32') refuse(op, 'shortcut', 'float32', shortcut.dtype);
  }
  if (!isFusedActivation(activation)) {
    const known = fusedActivations.map(describe).join(', ');
    refuse(op, 'activation', `one of ${known}`, activation);
  }
  const channels = shape[channelAxis(rank, axis)];
  checkPerChannel(op, 'gamma', gamma, channels);
  checkPerChannel(op, 'beta', beta, channels);
  checkPerChannel(op, 'mean', mean, channels);
  checkPerChannel(op, 'variance', variance, channels);
}

function checkPerChannel(
  op: string,
  name: string,
  tensor: tf.Tensor | null,
  channels: number,
): void {
  if (tensor === null) return;
  if (tensor.rank !== 1 || tensor.size !== channels) {
    refuse(op, name, `of shape [${channels}], one value a channel`, tensor.shape);
  }
  if (tensor.dtype !== 'float32') refuse(op, name, 'float32', tensor.dtype);
}

function refuse(op: string, name: string, expected: string, received: unknown): never {
  throw new ValueError(
    `${op}: ${name} must be ${expected}. Received: ${describe(received)}`,
  );
}

/**
 * What normalizing no values gives: no values. The gradients of gamma and beta are 0. No
 * kernel has to divide by a count of 0, and no op of a backend has to cope with empty tensors.
 */
function emptyBatch(
  {x, gamma, beta}: tf.NamedTensorMap,
  shortcut: tf.Tensor | null,
): tf.Tensor {
  const identity = tf.customGrad((...args) => {
    const [x, ...others] = args.slice(0, -1) as tf.Tensor[];
    const gradFunc = (dy: tf.Tensor) => [
      tf.clone(dy),
      ...others.map(({shape}) => tf.zeros(shape)),
    ];
    return {value: tf.clone(x), gradFunc};
  });
  return identity(x, gamma, beta, ...(shortcut === null ? [] : [shortcut]));
}
