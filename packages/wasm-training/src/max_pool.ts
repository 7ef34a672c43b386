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
  const places = findMaxima(pooling, heapValues(backend, x));
  const imageSize = tf.util.sizeFromShape(x.shape.slice(1));
  const indices = backend.makeOutput(pooling.outShape, 'int32');
  backend
    .typedArrayFromHeap(indices)
    .set(attrs.includeBatchInIndex ? places : places.map(place => place % imageSize));
  return [pooled(backend, pooling, x), indices];
}

function maxPoolGrad(kernelName: string, axes: number) {
  return ({inputs: {dy, input}, attrs, backend}: PoolingGradArgs) => {
    const pooling = computePooling(kernelName, axes, input, attrs, dy);
    const output = backend.makeOutput(input.shape, 'float32');
    const dx = heapValues(backend, output).fill(0);
    const dyValues = heapValues(backend, dy);
    const places = findMaxima(pooling, heapValues(backend, input));
    for (let i = 0; i < places.length; i++) dx[places[i]] += dyValues[i];
    return output;
  };
}

/** The largest value of each window. */
function pooled(backend: BackendWasm, pooling: Pooling, x: tf.TensorInfo) {
  const output = backend.makeOutput(pooling.outShape, 'float32');
  const y = heapValues(backend, output);
  const values = heapValues(backend, x);
  const places = findMaxima(pooling, values);
  for (let i = 0; i < places.length; i++) y[i] = values[places[i]];
  return output;
}

/** For each output, the index of the input that is the largest of its window. */
function findMaxima(pooling: Pooling, x: Float32Array): Int32Array {
  const {channels, outShape} = pooling;
  const places = new Int32Array(tf.util.sizeFromShape(outShape));
  forEachWindow(pooling, (out, pixels, count) => {
    for (let c = 0; c < channels; c++) {
      let place = pixels[0] + c;
      let largest = x[place];
      for (let i = 1; i < count; i++) {
        const at = pixels[i] + c;
        // Larger, or one of them NaN, which only then is not equal to itself.
        if (!(x[at] <= largest) && largest === largest) {
          largest = x[at];
          place = at;
        }
      }
      places[out + c] = place;
    }
  });
  return places;
}

/** Four sums at a time, as one addition waits for the one before it. */
function hasNaN(values: Float32Array): boolean {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 3 < values.length; i += 4) {
    s0 += values[i];
    s1 += values[i + 1];
    s2 += values[i + 2];
    s3 += values[i + 3];
  }
  for (; i < values.length; i++) s0 += values[i];
  // Infinities of both signs give NaN too; that costs time, not values.
  return Number.isNaN(s0 + s1 + s2 + s3);
}

export const maxPoolConfigs = [
  wasmKernel(tf.MaxPool3D, maxPool3d),
  wasmKernel(tf.MaxPoolWithArgmax, maxPoolWithArgmax),
  wasmKernel(tf.MaxPoolGrad, maxPoolGrad(tf.MaxPoolGrad, 2)),
  wasmKernel(tf.MaxPool3DGrad, maxPoolGrad(tf.MaxPool3DGrad, 3)),
];
