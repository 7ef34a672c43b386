/**
 * Where the windows of a convolution or of a pooling lie, and the checks of what says so.
 *
 * Along one axis of the image, output o meets tap i of its window at the input
 *
 *   stride·o + dilation·i − padBefore,
 *
 * or padding where that is less than 0, or inSize or more.
 *
 * The geometry of tfjs-core is not used, as it is wrong in two ways: a padding that is a
 * number gets the size of the output's every axis from the filter and the stride of its
 * first; and 'same' makes a 3-D window with a stride above its size start inside of the image.
 */
import * as tf from '@tensorflow/tfjs-core';

import {refusal} from './kernel.js';

/** The windows along one axis of the image. */
export interface WindowAxis {
  inSize: number;
  outSize: number;
  windowSize: number;
  stride: number;
  dilation: number;
  padBefore: number;
  /** Just so much that the last window fits; so inSize and the padding give outSize. */
  padAfter: number;
}

/** A padding for each axis of the tensor, [before, after]; none for batch and channels. */
export type ExplicitPadding = [number, number][];

/** What the attributes of all these kernels have in common. */
export interface WindowAttrs {
  strides: number | number[];
  pad: 'valid' | 'same' | number | ExplicitPadding;
  dilations?: number | number[];
  dataFormat?: string;
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

export interface Sizes {
  /** Of the image. */
  inSizes: number[];
  windowSizes: number[];
  /** Of the gradient dy, if there is one. */
  outSizes?: number[];
}

/**
 * Throws an error that names the kernel if a tensor is not float32, or does not have the rank
 * of images of so many axes, or if the channels do not come last.
 */
export function checkImages(
  kernelName: string,
  tensors: Record<string, tf.TensorInfo>,
  axes: number,
  {dataFormat}: WindowAttrs,
): void {
  const channelsLast = axes === 3 ? 'NDHWC' : 'NHWC';
  if (dataFormat != null && dataFormat !== channelsLast) {
    throw refusal(kernelName, `dataFormat '${channelsLast}'`, dataFormat);
  }
  for (const [name, {dtype, shape}] of Object.entries(tensors)) {
    if (dtype !== 'float32') {
      throw refusal(kernelName, `${name} to be float32`, dtype);
    }
    if (shape.length !== axes + 2) {
      throw refusal(kernelName, `${name} to have ${axes + 2} dimensions`, shape);
    }
  }
}

/**
 * The windows along each axis of the image.
 *
 * Throws an error that names the kernel if an attribute makes no sense, if the padded image
 * is smaller than the window, or if `outSizes` are not the sizes of the output. The gradients
 * in tfjs-core do not hand on `dimRoundingMode`: where it is missing, `outSizes` may be what
 * any of the three modes gives.
 */
export function computeWindows(
  kernelName: string,
  {inSizes, windowSizes, outSizes}: Sizes,
  attrs: WindowAttrs,
): WindowAxis[] {
  const {pad, dimRoundingMode} = attrs;
  const axes = inSizes.length;
  if (dimRoundingMode != null && !['floor', 'round', 'ceil'].includes(dimRoundingMode)) {
    const modes = "dimRoundingMode 'floor', 'round' or 'ceil'";
    throw refusal(kernelName, modes, dimRoundingMode);
  }
  const strides = perAxis(kernelName, 'strides', attrs.strides, axes);
  const dilations = perAxis(kernelName, 'dilations', attrs.dilations ?? 1, axes);
  perAxis(kernelName, 'the size of the window', windowSizes, axes);
  perAxis(kernelName, 'the size of the image', inSizes, axes);
  const padding = checkPadding(kernelName, pad, axes);

  // As in tfjs-core, the mode is for paddings in numbers.
  let roundings = ['floor', 'round', 'ceil'] as ('floor' | 'round' | 'ceil')[];
  if (typeof pad === 'string') roundings = ['floor'];
  else if (dimRoundingMode != null) roundings = [dimRoundingMode];

  return inSizes.map((inSize, axis) => {
    const [windowSize, stride, dilation] = [windowSizes, strides, dilations].map(
      sizes => sizes[axis],
    );
    const extent = dilation * (windowSize - 1) + 1;
    let outSize = Math.ceil(inSize / stride);
    let padBefore: number;
    if (padding === 'same') {
      padBefore = Math.floor(Math.max(0, (outSize - 1) * stride + extent - inSize) / 2);
    } else {
      padBefore = padding[axis][0];
      const steps = (inSize + padBefore + padding[axis][1] - extent) / stride;
      const sizes = roundings.map(mode => Math[mode](steps) + 1);
      outSize = sizes.find(size => size === outSizes?.[axis]) ?? sizes[0];
      if (outSize < 1) {
        throw refusal(
          kernelName,
          `the padded image to be as large as the window, ${extent} in axis ${axis + 1}`,
          inSize + padBefore + padding[axis][1],
        );
      }
    }
    const padAfter = Math.max(0, (outSize - 1) * stride + extent - inSize - padBefore);
    return {inSize, outSize, windowSize, stride, dilation, padBefore, padAfter};
  });
}

/** One value an axis; each must be an integer above 0. */
function perAxis(
  kernelName: string,
  name: string,
  values: number | number[],
  axes: number,
): number[] {
  const list = typeof values === 'number' ? new Array<number>(axes).fill(values) : values;
  if (
    !Array.isArray(list) ||
    list.length !== axes ||
    !list.every(value => Number.isInteger(value) && value > 0)
  ) {
    throw refusal(kernelName, `${name} to be ${axes} integers above 0`, values);
  }
  return list;
}

/** The padding of each axis of the image; 'same' depends on the windows and stays. */
function checkPadding(
  kernelName: string,
  pad: WindowAttrs['pad'],
  axes: number,
): 'same' | ExplicitPadding {
  const isSize = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;
  if (pad === 'same') return pad;
  if (pad === 'valid') return new Array<[number, number]>(axes).fill([0, 0]);
  if (isSize(pad)) {
    return new Array<[number, number]>(axes).fill([pad as number, pad as number]);
  }
  if (
    !Array.isArray(pad) ||
    pad.length !== axes + 2 ||
    !pad.every(
      sides => Array.isArray(sides) && sides.length === 2 && sides.every(isSize),
    ) ||
    [...pad[0], ...pad[axes + 1]].some(side => side !== 0)
  ) {
    throw refusal(
      kernelName,
      "pad to be 'same', 'valid', an integer not below 0, or a list of [before, after] for " +
        `the ${axes + 2} dimensions of the images, [0, 0] for batch and channels`,
      pad,
    );
  }
  return pad.slice(1, -1);
}

/**
 * Attributes that mean the same windows to the backend's own kernels: of a padding in
 * numbers they do what it says.
 */
export function explicitAttrs(axes: WindowAxis[]) {
  const sides = axes.map(({padBefore, padAfter}) => [padBefore, padAfter]);
  return {
    strides: axes.map(({stride}) => stride) as [number, number],
    dilations: axes.map(({dilation}) => dilation) as [number, number],
    pad: [[0, 0], ...sides, [0, 0]] as tf.backend_util.ExplicitPadding,
    dimRoundingMode: 'floor' as const,
  };
}
