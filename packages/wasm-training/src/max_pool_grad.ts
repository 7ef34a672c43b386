/**
 * MaxPoolGrad: the gradient of the input of a 2-D max pooling. Each value of dy goes to the
 * largest input of its window, to the first of them in case of a tie.
 *
 * The wasm backend has this kernel, but its search begins at the smallest positive number
 * instead of −∞: the gradient of a window without a positive value is lost.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {heapValues} from './temporaries.js';

interface Args {
  inputs: {dy: tf.TensorInfo; input: tf.TensorInfo};
  attrs: tf.MaxPoolGradAttrs;
  backend: BackendWasm;
}

function maxPoolGrad({inputs: {dy, input}, attrs, backend}: Args): tf.TensorInfo {
  const {filterSize, strides, pad, dimRoundingMode} = attrs;
  const info = tf.backend_util.computePool2DInfo(
    input.shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  if (!tf.util.arraysEqual(dy.shape, info.outShape)) {
    throw new Error(
      `${tf.MaxPoolGrad} expects dy to have shape [${info.outShape}], that of the output ` +
        `of the pooling of input [${input.shape}], but received [${dy.shape}].`,
    );
  }
  const {inHeight, inWidth, inChannels} = info;
  const output = backend.makeOutput(input.shape, 'float32');
  const dx = heapValues(backend, output).fill(0);
  const x = heapValues(backend, input);
  let d = 0;
  const dyValues = heapValues(backend, dy);
  for (let n = 0; n < info.batchSize; n++) {
    for (let h = 0; h < info.outHeight; h++) {
      const top = h * info.strideHeight - info.padInfo.top;
      const firstRow = Math.max(0, top);
      const endRow = Math.min(inHeight, top + info.filterHeight);
      for (let w = 0; w < info.outWidth; w++) {
        const left = w * info.strideWidth - info.padInfo.left;
        const firstColumn = Math.max(0, left);
        const endColumn = Math.min(inWidth, left + info.filterWidth);
        for (let c = 0; c < inChannels; c++, d++) {
          let largest = -Infinity;
          let place = -1;
          for (let row = firstRow; row < endRow; row++) {
            let i = ((n * inHeight + row) * inWidth + firstColumn) * inChannels + c;
            for (
              let column = firstColumn;
              column < endColumn;
              column++, i += inChannels
            ) {
              if (x[i] > largest) {
                largest = x[i];
                place = i;
              }
            }
          }
          if (place >= 0) dx[place] += dyValues[d];
        }
      }
    }
  }
  return output;
}

export const maxPoolGradConfig: tf.KernelConfig = {
  kernelName: tf.MaxPoolGrad,
  backendName: 'wasm',
  kernelFunc: maxPoolGrad as unknown as tf.KernelFunc,
};
