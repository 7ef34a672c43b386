/**
 * The kernels out of TensorFlow.js's own ops, for every backend that nobody wrote kernels for,
 * and for the cases that such kernels leave to them. Ops that are called inside a kernel are not
 * recorded on the gradient tape.
 */
import * as tf from '@tensorflow/tfjs-core';

import type {AllKernels, FusedActivation, Kernel, NormAttrs} from '../kernel.js';
import {movingStatistics} from './moving_statistics.js';
import {asChannelView, broadcastShape, channelMean, channelSum} from './per_channel.js';

const activations: Record<FusedActivation, (z: tf.Tensor) => tf.Tensor> = {
  linear: z => z,
  relu: tf.relu,
  relu6: tf.relu6,
};

/** activation(norm + shortcut). */
export function activate(
  norm: tf.Tensor,
  shortcut: tf.Tensor | undefined,
  activation: FusedActivation,
): tf.Tensor {
  return activations[activation](shortcut === undefined ? norm : tf.add(norm, shortcut));
}

/** dz = dy·activation′(z), from y = activation(z). */
export function activationGrad(
  dy: tf.Tensor,
  y: tf.Tensor,
  activation: FusedActivation,
): tf.Tensor {
  if (activation === 'linear') return dy;
  const isPositive = tf.greater(y, 0);
  const passes =
    activation === 'relu' ? isPositive : tf.logicalAnd(isPositive, tf.less(y, 6));
  // Not a product: 0·NaN is NaN.
  return tf.where(passes, dy, tf.zerosLike(dy));
}

/** The moments of a view (per_channel.ts), in the shape that broadcasts over it. */
export interface Moments {
  mean: tf.Tensor;
  /** Biased. */
  variance: tf.Tensor;
  /** A mean that was computed first and may be off in its last digits … */
  roughMean: tf.Tensor;
  /** … x less that … */
  centered: tf.Tensor;
  /** … and the mean of what is left, which would be 0 if it were not off. */
  residual: tf.Tensor;
}

/**
 * Mean and variance by the corrected two-pass algorithm: the mean first, then the moments of
 * what is left. E[x²] − E[x]² would lose all digits in float32 where the mean is large against
 * the standard deviation.
 *
 * Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
 */
export function moments(view: tf.Tensor): Moments {
  const roughMean = channelMean(view);
  const centered = tf.sub(view, roughMean);
  const residual = channelMean(centered);
  const variance = tf.maximum(
    tf.sub(channelMean(tf.square(centered)), tf.square(residual)),
    0,
  );
  return {mean: tf.add(roughMean, residual), variance, roughMean, centered, residual};
}

type TrainingTensors = Record<'x' | 'gamma' | 'beta', tf.Tensor> & {
  shortcut?: tf.Tensor;
};

function training(
  {x, gamma, beta, shortcut}: TrainingTensors,
  {axis, epsilon, activation}: NormAttrs,
): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const shape = broadcastShape(view);
  const {mean, variance, centered, residual} = moments(view);
  const scale = tf.mul(tf.reshape(gamma, shape), tf.rsqrt(tf.add(variance, epsilon)));
  const offset = tf.sub(tf.reshape(beta, shape), tf.mul(residual, scale));
  const norm = tf.add(tf.mul(centered, scale), offset);
  const y = activate(norm, shortcut && asChannelView(shortcut, axis), activation);
  return [
    tf.reshape(y, x.shape),
    tf.reshape(mean, gamma.shape),
    tf.reshape(variance, gamma.shape),
  ];
}

export type TrainingGradTensors = Record<
  'dy' | 'x' | 'gamma' | 'mean' | 'variance',
  tf.Tensor
> & {y?: tf.Tensor};

/**
 * The gradient of y = activation(z) with z = gamma·x̂ + beta + shortcut, x̂ = (x − mean)·r and
 * r = 1/√(variance + epsilon), mean and variance being functions of x. With dz = dy·activation′
 * and over the n values of a channel
 *
 *     dshortcut = dz
 *     dbeta     = Σ dz
 *     dgamma    = Σ dz·x̂
 *     dx        = gamma·r·(dz − dbeta/n − x̂·dgamma/n)
 *
 * Source: Ioffe and Szegedy, "Batch Normalization", 2015, section 3, simplified.
 */
export function trainingGrad(
  {dy, x, gamma, mean, variance, y}: TrainingGradTensors,
  {axis, epsilon, activation, hasShortcut}: NormAttrs,
): tf.Tensor[] {
  const xView = asChannelView(x, axis);
  const dyView = asChannelView(dy, axis);
  const dz = y ? activationGrad(dyView, asChannelView(y, axis), activation) : dyView;
  const shape = broadcastShape(xView);
  const r = tf.rsqrt(tf.add(tf.reshape(variance, shape), epsilon));
  const rough = tf.sub(xView, tf.reshape(mean, shape));
  // A large mean is off in float32's last digit; what is left of it shifts all of x̂.
  const centered = tf.sub(rough, channelMean(rough));
  const normalized = tf.mul(centered, r);
  const dbeta = channelSum(dz);
  const dgamma = channelSum(tf.mul(dz, normalized));
  const n = x.size / gamma.size;
  const dx = tf.mul(
    tf.sub(tf.sub(dz, tf.div(dbeta, n)), tf.mul(normalized, tf.div(dgamma, n))),
    tf.mul(tf.reshape(gamma, shape), r),
  );
  return [
    tf.reshape(dx, x.shape),
    tf.reshape(dgamma, gamma.shape),
    tf.reshape(dbeta, gamma.shape),
    ...(hasShortcut ? [tf.reshape(dz, x.shape)] : []),
  ];
}

type PerChannel = Record<'gamma' | 'beta' | 'mean' | 'variance', tf.Tensor>;

type InferenceTensors = PerChannel & {x: tf.Tensor; shortcut?: tf.Tensor};

function inference(
  {x, shortcut, ...perChannel}: InferenceTensors,
  {axis, epsilon, activation}: NormAttrs,
): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const normalize = view.rank === 2 ? normalizeRows : normalizeView;
  const norm = normalize(view, perChannel, epsilon);
  const y = activate(norm, shortcut && asChannelView(shortcut, axis), activation);
  return [tf.reshape(y, x.shape)];
}

/** Every backend has a kernel that does this in one pass where the channels come last. */
function normalizeRows(
  rows: tf.Tensor,
  {gamma, beta, mean, variance}: PerChannel,
  epsilon: number,
): tf.Tensor {
  const [outer, channels] = rows.shape;
  const norm = tf.batchNorm4d(
    tf.reshape(rows, [outer, 1, 1, channels]),
    mean as tf.Tensor1D,
    variance as tf.Tensor1D,
    beta as tf.Tensor1D,
    gamma as tf.Tensor1D,
    epsilon,
  );
  return tf.reshape(norm, rows.shape);
}

function normalizeView(
  view: tf.Tensor,
  {gamma, beta, mean, variance}: PerChannel,
  epsilon: number,
): tf.Tensor {
  const shape = broadcastShape(view);
  const scale = tf.mul(gamma, tf.rsqrt(tf.add(variance, epsilon)));
  const centered = tf.sub(view, tf.reshape(mean, shape));
  return tf.add(tf.mul(centered, tf.reshape(scale, shape)), tf.reshape(beta, shape));
}

/** A kernel's function, over tensors and in a tidy of its own. */
function composed<Tensors, Inputs, Attrs>(
  compute: (inputs: Tensors, attrs: Attrs) => tf.Tensor[],
): Kernel<Inputs, Attrs> {
  // The engine hands the tensors over as they came in, though its type promises less.
  return (inputs, attrs) => tf.tidy(() => compute(inputs as unknown as Tensors, attrs));
}

type MomentsTensors = {x: tf.Tensor};

function stackedMoments({x}: MomentsTensors, {axis}: NormAttrs): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const {roughMean, residual, variance} = moments(view);
  return [stacked([roughMean, residual, variance])];
}

type GradSumsTensors = Record<'dy' | 'x' | 'mean', tf.Tensor> & {y?: tf.Tensor};

function gradSums(
  {dy, x, mean, y}: GradSumsTensors,
  {axis, activation}: NormAttrs,
): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const dyView = asChannelView(dy, axis);
  const dz = y ? activationGrad(dyView, asChannelView(y, axis), activation) : dyView;
  const centered = tf.sub(view, tf.reshape(mean, broadcastShape(view)));
  return [stacked([channelSum(dz), channelSum(tf.mul(dz, centered))])];
}

type InputGradTensors = Record<'dy' | 'x' | 'affine', tf.Tensor> & {y?: tf.Tensor};

function inputGrad(
  {dy, x, affine, y}: InputGradTensors,
  {axis, activation, hasShortcut}: NormAttrs,
): tf.Tensor[] {
  const view = asChannelView(x, axis);
  const dyView = asChannelView(dy, axis);
  const dz = y ? activationGrad(dyView, asChannelView(y, axis), activation) : dyView;
  const shape = broadcastShape(view);
  const [shift, a, b, c] = tf.unstack(affine).map(row => tf.reshape(row, shape));
  const ofX = tf.add(tf.mul(b, tf.sub(view, shift)), c);
  const dx = tf.add(tf.mul(a, dz), ofX);
  return [tf.reshape(dx, x.shape), ...(hasShortcut ? [tf.reshape(dz, x.shape)] : [])];
}

/** What is per channel as rows: [rows, channels]. */
function stacked(perChannel: tf.Tensor[]): tf.Tensor {
  return tf.stack(perChannel.map(values => tf.reshape(values, [values.size])));
}

export const composedKernels: AllKernels = {
  training: composed(training),
  trainingGrad: composed(trainingGrad),
  inference: composed(inference),
  moments: composed(stackedMoments),
  gradSums: composed(gradSums),
  inputGrad: composed(inputGrad),
  movingStatistics: composed(movingStatistics),
};
