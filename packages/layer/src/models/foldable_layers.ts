/**
 * The layers that a batch norm can be folded into: those that are linear up to their
 * activation, y = Wx + b. In inference mode a batch norm multiplies each channel by a scale and
 * adds a shift. After the layer that becomes part of W and b; before it, too, wherever no
 * padding with zeros comes in between.
 */
import * as tf from '@tensorflow/tfjs-core';

import type {Layer} from '../batch_norms.js';
import {fullConfig} from './copy_layer.js';

/** Kernels and bias of a layer, by name. */
export type Weights = Record<string, tf.Tensor>;

/** A value a channel each. */
export interface ScaleAndShift {
  scale: tf.Tensor1D;
  shift: tf.Tensor1D;
}

interface Foldable {
  /** W and b of scale·(Wx + b) + shift. */
  after(weights: Weights, affine: ScaleAndShift): Weights;
  /** W and b of W(scale·x + shift) + b, where no zeros are padded. */
  before(weights: Weights, affine: ScaleAndShift): Weights;
}

/** The scale of outputs: the kernel's last axis, and the bias. */
function scaleLast(name: string): Foldable['after'] {
  return (weights, {scale, shift}) => ({
    ...weights,
    [name]: tf.mul(weights[name], scale),
    bias: tf.add(tf.mul(weights.bias, scale), shift),
  });
}

/** [channels, 1], which broadcasts over [channels, more]. */
const column = (perChannel: tf.Tensor) => tf.reshape(perChannel, [-1, 1]);

/** The sum over all axes but the last ones, which are left. */
function sumLeading(kernel: tf.Tensor, kept: number): tf.Tensor {
  const axes = kernel.shape.map((_, i) => i).slice(0, kernel.rank - kept);
  return axes.length === 0 ? kernel : tf.sum(kernel, axes);
}

/** The kernel is [...window, in, out]. */
const convolution: Foldable = {
  after: scaleLast('kernel'),
  before: ({kernel, bias}, {scale, shift}) => ({
    kernel: tf.mul(kernel, column(scale)),
    bias: tf.add(bias, sumLeading(tf.mul(kernel, column(shift)), 1)),
  }),
};

/** The kernel is [...window, out, in]. */
const transposed: Foldable = {
  after: ({kernel, bias}, {scale, shift}) => ({
    kernel: tf.mul(kernel, column(scale)),
    bias: tf.add(tf.mul(bias, scale), shift),
  }),
  // Only used where the shift is 0: at the borders fewer values add up than elsewhere.
  before: ({kernel, bias}, {scale}) => ({kernel: tf.mul(kernel, scale), bias}),
};

/** The kernel is [height, width, in, multiplier]; an input channel has outputs in a row. */
const depthwise: Foldable = {
  after: ({depthwise_kernel: kernel, bias}, {scale, shift}) => ({
    depthwise_kernel: tf.mul(kernel, tf.reshape(scale, kernel.shape.slice(-2))),
    bias: tf.add(tf.mul(bias, scale), shift),
  }),
  before: ({depthwise_kernel: kernel, bias}, {scale, shift}) => ({
    depthwise_kernel: tf.mul(kernel, column(scale)),
    bias: tf.add(bias, tf.reshape(sumLeading(tf.mul(kernel, column(shift)), 2), [-1])),
  }),
};

/** A depthwise kernel, then a pointwise one, [1, 1, in·multiplier, out]. */
const separable: Foldable = {
  after: scaleLast('pointwise_kernel'),
  before: (weights, affine) => {
    const {depthwise_kernel, pointwise_kernel, bias} = weights;
    const between = tf.zeros([pointwise_kernel.shape[2]!]);
    const inner = depthwise.before({depthwise_kernel, bias: between}, affine);
    const pointwise = tf.squeeze(pointwise_kernel, [0, 1]) as tf.Tensor2D;
    const reached = tf.matMul(tf.reshape(inner.bias, [1, -1]), pointwise);
    return {
      depthwise_kernel: inner.depthwise_kernel,
      pointwise_kernel,
      bias: tf.add(bias, tf.reshape(reached, [-1])),
    };
  },
};

const foldables: Record<string, Foldable> = {
  Dense: convolution,
  Conv1D: convolution,
  Conv2D: convolution,
  Conv3D: convolution,
  Conv2DTranspose: transposed,
  Conv3DTranspose: transposed,
  DepthwiseConv2D: depthwise,
  SeparableConv2D: separable,
};

/** How to fold into a layer; null where that can't be done. */
export function foldableOf(layer: Layer): Foldable | null {
  const className = layer.getClassName();
  return Object.hasOwn(foldables, className) ? foldables[className] : null;
}

/** The axis of the channels, counted from the start, for an input or output of a rank. */
export function channelAxisOf(layer: Layer, rank: number): number {
  return fullConfig(layer).dataFormat === 'channelsFirst' ? 1 : rank - 1;
}

/** Whether zeros, which no batch norm has shifted, may be among what the layer adds up. */
export function padsZeros(layer: Layer): boolean {
  const {padding, kernelSize} = layer.getConfig();
  if (layer.getClassName().endsWith('Transpose')) return true;
  const isPointwise = [kernelSize ?? 1].flat().every(size => size === 1);
  return padding != null && padding !== 'valid' && !isPointwise;
}

/** Whether tfjs-layers adds the bias along another axis than that of the channels. */
export function misplacesBias(layer: Layer): boolean {
  return (
    ['Conv1D', 'SeparableConv2D'].includes(layer.getClassName()) &&
    fullConfig(layer).dataFormat === 'channelsFirst'
  );
}
