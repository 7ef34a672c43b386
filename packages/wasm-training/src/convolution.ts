/** The shapes of a convolution of images, checked: what all its kernels begin with. */
import * as tf from '@tensorflow/tfjs-core';

import {refusal} from './kernel.js';
import {checkImages, computeWindows, WindowAttrs, WindowAxis} from './windows.js';

/** A convolution of images in the format NHWC or NDHWC. */
export interface Convolution {
  batchSize: number;
  inChannels: number;
  outChannels: number;
  /** Height and width, or depth, height and width. */
  axes: WindowAxis[];
  outShape: number[];
}

interface Shapes {
  input: number[];
  filter: number[];
  /** True if the filter is [height, width, inChannels, channel multiplier]. */
  depthwise?: boolean;
}

/**
 * The convolution of `input` with `filter`. Of the tensors that the kernel gets, `dy` is the
 * gradient of the output.
 *
 * Throws an error that names the kernel if a tensor is not float32, if shapes do not fit
 * together, or for the reasons of `computeWindows`.
 */
export function computeConvolution(
  kernelName: string,
  {input, filter, depthwise = false}: Shapes,
  tensors: Record<string, tf.TensorInfo>,
  attrs: WindowAttrs,
): Convolution {
  const rank = input.length;
  checkImages(kernelName, tensors, rank - 2, attrs);
  const [batchSize, inChannels] = [input[0], input[rank - 1]];
  const [filterChannels, lastFilterSize] = filter.slice(rank - 2);
  if (filter.length !== rank || filterChannels !== inChannels || !(inChannels > 0)) {
    throw refusal(
      kernelName,
      `a filter of ${rank} dimensions for the channels of input [${input}]`,
      filter,
    );
  }
  const dyShape = tensors.dy?.shape;
  const axes = computeWindows(
    kernelName,
    {
      inSizes: input.slice(1, -1),
      windowSizes: filter.slice(0, -2),
      outSizes: dyShape?.slice(1, -1),
    },
    attrs,
  );
  const outChannels = depthwise ? inChannels * lastFilterSize : lastFilterSize;
  const outShape = [batchSize, ...axes.map(({outSize}) => outSize), outChannels];
  if (dyShape != null && !tf.util.arraysEqual(dyShape, outShape)) {
    throw refusal(
      kernelName,
      `dy to have shape [${outShape}], that of the output of the convolution of input ` +
        `[${input}] with filter [${filter}]`,
      dyShape,
    );
  }
  return {batchSize, inChannels, outChannels, axes, outShape};
}
