/**
 * Max poolings of two and three dimensions, and their gradients. Each value of dy goes to the
 * largest input of its window, to the first of them in case of a tie. A NaN counts as larger
 * than all numbers: the output of its window is NaN.
 *
 * The backend's own kernels search from the smallest positive number instead of −∞, all but
 * MaxPool: the values and the gradients of windows without a positive value are lost. MaxPool
 * makes −∞ of some windows with a NaN. It is fast, and used where there is no NaN.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {KernelArgs, wasmKernel} from './kernel.js';
import {
  computePooling,
  forEachWindow,
  poolByBackend,
  Pooling,
  PoolingArgs,
  PoolingAttrs,
  PoolingGradArgs,
} from './pooling.js';
import {heapValues} from './temporaries.js';

/** Wraps the backend's MaxPool. */
export function maxPool(ofBackend: tf.KernelFunc): tf.KernelFunc {
  function kernelFunc({inputs: {x}, attrs, backend}: PoolingArgs) {
    const pooling = computePooling(tf.MaxPool, 2, x, attrs);
    return hasNaN(heapValues(backend, x))
      ? pooled(backend, pooling, x)
      : poolByBackend(ofBackend, pooling, x, backend);
  }
  return kernelFunc as unknown as tf.KernelFunc;
}

function maxPool3d({inputs: {x}, attrs, backend}: PoolingArgs) {
  return pooled(backend, computePooling(tf.MaxPool3D, 3, x, attrs), x);
}

function maxPoolWithArgmax({
  inputs: {x},
  attrs,
  backend,
}: KernelArgs<{x: tf.TensorInfo}, PoolingAttrs & {includeBatchInIndex?: boolean}>) {
  const pooling = computePooling(tf.MaxPoolWithArgmax, 2, x, attrs);
  const y = pooled(backend, pooling, x);
  const indices = backend.makeOutput(pooling.outShape, 'int32');
  const places = backend.typedArrayFromHeap(indices) as Int32Array;
  const imageSize = tf.util.sizeFromShape(x.shape.slice(1));
  forEachMaximum(pooling, heapValues(backend, x), (out, place) => {
    places[out] = attrs.includeBatchInIndex ? place : place % imageSize;
  });
  return [y, indices];
}

function maxPoolGrad(kernelName: string, axes: number) {
  return ({inputs: {dy, input}, attrs, backend}: PoolingGradArgs) => {
    const pooling = computePooling(kernelName, axes, input, attrs, dy);
    const output = backend.makeOutput(input.shape, 'float32');
    const dx = heapValues(backend, output).fill(0);
    const dyValues = heapValues(backend, dy);
    forEachMaximum(pooling, heapValues(backend, input), (out, place) => {
      dx[place] += dyValues[out];
    });
    return output;
  };
}

/** The largest value of each window. */
function pooled(backend: BackendWasm, pooling: Pooling, x: tf.TensorInfo) {
  const output = backend.makeOutput(pooling.outShape, 'float32');
  const y = heapValues(backend, output);
  const values = heapValues(backend, x);
  forEachMaximum(pooling, values, (out, place) => {
    y[out] = values[place];
  });
  return output;
}

/** Calls `visit` with the index of each output, and with that of the input it is taken from. */
function forEachMaximum(
  pooling: Pooling,
  x: Float32Array,
  visit: (out: number, place: number) => void,
): void {
  const {channels} = pooling;
  forEachWindow(pooling, (outPixel, pixels, count) => {
    for (let c = 0; c < channels; c++) {
      let place = pixels[0] * channels + c;
      let largest = x[place];
      for (let i = 1; i < count; i++) {
        const value = x[pixels[i] * channels + c];
        if (value > largest || (value !== value && largest === largest)) {
          largest = value;
          place = pixels[i] * channels + c;
        }
      }
      visit(outPixel * channels + c, place);
    }
  });
}

function hasNaN(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] !== values[i]) return true;
  return false;
}

export const maxPoolConfigs = [
  wasmKernel(tf.MaxPool3D, maxPool3d),
  wasmKernel(tf.MaxPoolWithArgmax, maxPoolWithArgmax),
  wasmKernel(tf.MaxPoolGrad, maxPoolGrad(tf.MaxPoolGrad, 2)),
  wasmKernel(tf.MaxPool3DGrad, maxPoolGrad(tf.MaxPool3DGrad, 3)),
];
