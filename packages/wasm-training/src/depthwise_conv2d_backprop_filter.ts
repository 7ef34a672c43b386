/**
 * DepthwiseConv2dNativeBackpropFilter: the gradient of the filter of a depthwise convolution,
 *
 *   dFilter[i, j, c, q] = Σ_{n, h, w} x[n, y, x, c] · dy[n, h, w, c·m + q],
 *
 * with y = sh·h + dh·i − top and x = sw·w + dw·j − left inside of the image; m is the channel
 * multiplier. There is one product per value and tap, too little work for a kernel of the
 * backend to be of use, so it is a loop over the heap. It sums in float64.
 */
import * as tf from '@tensorflow/tfjs-core';

import {computeConvGeometry, ConvAxis} from './conv_geometry.js';
import {KernelArgs, wasmKernel} from './kernel.js';
import {heapValues} from './temporaries.js';

type Args = KernelArgs<
  {x: tf.TensorInfo; dy: tf.TensorInfo},
  tf.DepthwiseConv2dNativeBackpropFilterAttrs
>;

function depthwiseConv2dBackpropFilter({inputs: {x, dy}, attrs, backend}: Args) {
  const {filterShape} = attrs;
  const {batchSize, inChannels, outChannels, height, width} = computeConvGeometry(
    tf.DepthwiseConv2dNativeBackpropFilter,
    {input: x.shape, filter: filterShape, depthwise: true},
    {x, dy},
    attrs,
  );
  const xValues = heapValues(backend, x);
  const dyValues = heapValues(backend, dy);
  const sums = new Float64Array(tf.util.sizeFromShape(filterShape));
  const addRow =
    outChannels === inChannels ? addProductsOfChannels : addProductsOfMultipliedChannels;
  const columnsOfTap = taps(width);
  for (let n = 0; n < batchSize; n++) {
    for (const row of taps(height)) {
      for (let h = row.first; h < row.end; h++) {
        const y = height.stride * h + row.offset;
        for (const column of columnsOfTap) {
          const xColumn = width.stride * column.first + column.offset;
          addRow(
            {
              x: xValues,
              dy: dyValues,
              xStart: ((n * height.inSize + y) * width.inSize + xColumn) * inChannels,
              dyStart:
                ((n * height.outSize + h) * width.outSize + column.first) * outChannels,
              xStep: width.stride * inChannels,
              count: column.end - column.first,
              inChannels,
              outChannels,
            },
            sums,
            (row.index * width.windowSize + column.index) * outChannels,
          );
        }
      }
    }
  }
  const dFilter = backend.makeOutput(filterShape, 'float32');
  heapValues(backend, dFilter).set(sums);
  return dFilter;
}

/** For each tap, the outputs first ≤ o < end for which stride·o + offset is in the image. */
function taps({inSize, outSize, windowSize, stride, dilation, padBefore}: ConvAxis) {
  return Array.from({length: windowSize}, (_, index) => {
    const offset = dilation * index - padBefore;
    const first = Math.max(0, Math.ceil(-offset / stride));
    const end = Math.min(outSize, Math.floor((inSize - 1 - offset) / stride) + 1);
    return {index, offset, first, end: Math.max(first, end)};
  });
}

/** A row of dy, of `count` pixels, and the row of x that it meets by one tap. */
interface Rows {
  x: Float32Array;
  dy: Float32Array;
  xStart: number;
  dyStart: number;
  xStep: number;
  count: number;
  inChannels: number;
  outChannels: number;
}

/** sums[offset + c] += Σ x[…, c] · dy[…, c]. Four channels at a time, kept in registers. */
function addProductsOfChannels(rows: Rows, sums: Float64Array, offset: number): void {
  const {x, dy, xStart, dyStart, xStep, count, inChannels} = rows;
  let c = 0;
  for (; c + 3 < inChannels; c += 4) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let a = xStart + c;
    let b = dyStart + c;
    for (let i = 0; i < count; i++, a += xStep, b += inChannels) {
      s0 += x[a] * dy[b];
      s1 += x[a + 1] * dy[b + 1];
      s2 += x[a + 2] * dy[b + 2];
      s3 += x[a + 3] * dy[b + 3];
    }
    sums[offset + c] += s0;
    sums[offset + c + 1] += s1;
    sums[offset + c + 2] += s2;
    sums[offset + c + 3] += s3;
  }
  for (; c < inChannels; c++) {
    let sum = 0;
    let a = xStart + c;
    let b = dyStart + c;
    for (let i = 0; i < count; i++, a += xStep, b += inChannels) sum += x[a] * dy[b];
    sums[offset + c] += sum;
  }
}

/** sums[offset + c·m + q] += Σ x[…, c] · dy[…, c·m + q], for any channel multiplier m. */
function addProductsOfMultipliedChannels(
  rows: Rows,
  sums: Float64Array,
  offset: number,
): void {
  const {x, dy, xStart, dyStart, xStep, count, inChannels, outChannels} = rows;
  const multiplier = outChannels / inChannels;
  for (let k = 0; k < outChannels; k++) {
    let sum = 0;
    let a = xStart + Math.floor(k / multiplier);
    let b = dyStart + k;
    for (let i = 0; i < count; i++, a += xStep, b += outChannels) sum += x[a] * dy[b];
    sums[offset + k] += sum;
  }
}

export const depthwiseConv2dBackpropFilterConfig = wasmKernel(
  tf.DepthwiseConv2dNativeBackpropFilter,
  depthwiseConv2dBackpropFilter,
);
