/**
 * What poolings of two and three dimensions share: their windows, and a loop over these.
 *
 * A 2-D pooling is looped over as a 3-D one of one depth.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {KernelArgs, refusal} from './kernel.js';
import {
  checkImages,
  computeWindows,
  explicitAttrs,
  WindowAttrs,
  WindowAxis,
} from './windows.js';

export interface PoolingAttrs extends WindowAttrs {
  filterSize: number | number[];
}

export type PoolingArgs = KernelArgs<{x: tf.TensorInfo}, PoolingAttrs>;
export type PoolingGradArgs = KernelArgs<
  {dy: tf.TensorInfo; input: tf.TensorInfo},
  PoolingAttrs
>;

/** A pooling of images in the format NHWC or NDHWC. */
export interface Pooling {
  batchSize: number;
  channels: number;
  /** Height and width, or depth, height and width. */
  axes: WindowAxis[];
  outShape: number[];
}

/**
 * The pooling of `x`, by windows over its last `axes` dimensions but one.
 *
 * Throws an error that names the kernel if a tensor is not float32, if `dy` does not have the
 * shape of the output, if a window would lie in the padding with all its values, where there
 * is nothing to pool, or for the reasons of `computeWindows`.
 */
export function computePooling(
  kernelName: string,
  axes: number,
  x: tf.TensorInfo,
  attrs: PoolingAttrs,
  dy?: tf.TensorInfo,
): Pooling {
  checkImages(kernelName, dy == null ? {x} : {x, dy}, axes, attrs);
  const {filterSize} = attrs;
  const windows = computeWindows(
    kernelName,
    {
      inSizes: x.shape.slice(1, -1),
      windowSizes:
        typeof filterSize === 'number'
          ? new Array<number>(axes).fill(filterSize)
          : filterSize,
      outSizes: dy?.shape.slice(1, -1),
    },
    attrs,
  );
  for (const {inSize, outSize, stride, windowSize, padBefore} of windows) {
    if (padBefore >= windowSize || stride * (outSize - 1) - padBefore >= inSize) {
      throw refusal(
        kernelName,
        `each window to hold a value of the image [${x.shape}], not only padding`,
        attrs,
      );
    }
  }
  const [batchSize, channels] = [x.shape[0], x.shape[axes + 1]];
  const outShape = [batchSize, ...windows.map(({outSize}) => outSize), channels];
  if (dy != null && !tf.util.arraysEqual(dy.shape, outShape)) {
    throw refusal(
      kernelName,
      `dy to have shape [${outShape}], that of the output of the pooling of input ` +
        `[${x.shape}]`,
      dy.shape,
    );
  }
  return {batchSize, channels, axes: windows, outShape};
}

/** The result of the backend's own kernel of a 2-D pooling. */
export function poolByBackend(
  ofBackend: tf.KernelFunc,
  {axes, outShape}: Pooling,
  x: tf.TensorInfo,
  backend: BackendWasm,
): tf.TensorInfo {
  if (tf.util.sizeFromShape(outShape) === 0) {
    return backend.makeOutput(outShape, 'float32');
  }
  const {strides, pad, dimRoundingMode} = explicitAttrs(axes);
  const filterSize = axes.map(({windowSize}) => windowSize);
  return ofBackend({
    inputs: {x},
    attrs: {filterSize, strides, pad, dimRoundingMode} as unknown as tf.NamedAttrMap,
    backend,
  }) as tf.TensorInfo;
}

const ONE_DEPTH: WindowAxis = {
  inSize: 1,
  outSize: 1,
  windowSize: 1,
  stride: 1,
  dilation: 1,
  padBefore: 0,
  padAfter: 0,
};

/**
 * Calls `visit` for each window: with the index of its pixel in the output, and with those of
 * the pixels of the image in it, the first `count` of `pixels`, in ascending order. The index
 * of a pixel is that of its first channel; the others follow.
 */
export function forEachWindow(
  {batchSize, channels, axes}: Pooling,
  visit: (out: number, pixels: Int32Array, count: number) => void,
): void {
  const [depth, height, width] = axes.length === 2 ? [ONE_DEPTH, ...axes] : axes;
  const [frames, rows, columns] = [depth, height, width].map(inputsOf);
  const pixels = new Int32Array(depth.windowSize * height.windowSize * width.windowSize);
  let out = 0;
  for (let n = 0; n < batchSize; n++) {
    for (let d = 0; d < depth.outSize; d++) {
      for (let h = 0; h < height.outSize; h++) {
        for (let w = 0; w < width.outSize; w++) {
          let count = 0;
          for (let frame = frames.first[d]; frame < frames.end[d]; frame++) {
            for (let row = rows.first[h]; row < rows.end[h]; row++) {
              const start =
                ((n * depth.inSize + frame) * height.inSize + row) * width.inSize;
              for (let column = columns.first[w]; column < columns.end[w]; column++) {
                pixels[count++] = (start + column) * channels;
              }
            }
          }
          visit(out, pixels, count);
          out += channels;
        }
      }
    }
  }
}

/** The inputs that each output meets: from the first to, not including, the end. */
function inputsOf({inSize, outSize, windowSize, stride, padBefore}: WindowAxis) {
  const starts = Array.from({length: outSize}, (_, out) => stride * out - padBefore);
  return {
    first: starts.map(start => Math.max(0, start)),
    end: starts.map(start => Math.min(inSize, start + windowSize)),
  };
}
