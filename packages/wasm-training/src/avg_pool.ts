/**
 * Average poolings of two and three dimensions, and their gradients. As in TensorFlow, the
 * padding does not count: a sum is divided by the number of the values in its window that
 * are inside of the image. dy / that number goes to each of them.
 *
 * The backend's own gradients divide by the size of the window. Its 2-D pooling is right, and
 * used; the 3-D one is a plain loop that takes what tfjs-core gives it for the windows.
 */
import * as tf from '@tensorflow/tfjs-core';

import {wasmKernel} from './kernel.js';
import {
  computePooling,
  forEachWindow,
  poolByBackend,
  PoolingArgs,
  PoolingGradArgs,
} from './pooling.js';
import {heapValues} from './temporaries.js';

/** Wraps the backend's AvgPool. */
export function avgPool(ofBackend: tf.KernelFunc): tf.KernelFunc {
  function kernelFunc({inputs: {x}, attrs, backend}: PoolingArgs) {
    const pooling = computePooling(tf.AvgPool, 2, x, attrs);
    return poolByBackend(ofBackend, pooling, x, backend);
  }
  return kernelFunc as unknown as tf.KernelFunc;
}

function avgPool3d({inputs: {x}, attrs, backend}: PoolingArgs) {
  const pooling = computePooling(tf.AvgPool3D, 3, x, attrs);
  const {channels, outShape} = pooling;
  const output = backend.makeOutput(outShape, 'float32');
  const y = heapValues(backend, output);
  const values = heapValues(backend, x);
  forEachWindow(pooling, (out, pixels, count) => {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += values[pixels[i] + c];
      y[out + c] = sum / count;
    }
  });
  return output;
}

function avgPoolGrad(kernelName: string, axes: number) {
  return ({inputs: {dy, input}, attrs, backend}: PoolingGradArgs) => {
    const pooling = computePooling(kernelName, axes, input, attrs, dy);
    const {channels} = pooling;
    const output = backend.makeOutput(input.shape, 'float32');
    const dx = heapValues(backend, output).fill(0);
    const dyValues = heapValues(backend, dy);
    forEachWindow(pooling, (out, pixels, count) => {
      for (let i = 0; i < count; i++) {
        const at = pixels[i];
        for (let c = 0; c < channels; c++) dx[at + c] += dyValues[out + c] / count;
      }
    });
    return output;
  };
}

export const avgPoolConfigs = [
  wasmKernel(tf.AvgPool3D, avgPool3d),
  wasmKernel(tf.AvgPoolGrad, avgPoolGrad(tf.AvgPoolGrad, 2)),
  wasmKernel(tf.AvgPool3DGrad, avgPoolGrad(tf.AvgPool3DGrad, 3)),
];
