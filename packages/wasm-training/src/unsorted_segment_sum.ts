/**
 * UnsortedSegmentSum: y[s, …] = Σ x[i, …] over the i with segmentIds[i] = s. It is the
 * gradient of `tf.gather`, so of an embedding. As on the other backends, an id that is
 * negative or not below `numSegments` adds nothing.
 */
import * as tf from '@tensorflow/tfjs-core';

import {KernelArgs, refusal, wasmKernel} from './kernel.js';

type Args = KernelArgs<
  {x: tf.TensorInfo; segmentIds: tf.TensorInfo},
  tf.UnsortedSegmentSumAttrs
>;

function unsortedSegmentSum({inputs: {x, segmentIds}, attrs, backend}: Args) {
  const {numSegments} = attrs;
  const idRank = segmentIds.shape.length;
  if (!tf.util.arraysEqual(segmentIds.shape, x.shape.slice(0, idRank))) {
    throw refusal(
      tf.UnsortedSegmentSum,
      `segmentIds to have the shape of the first dimensions of x, [${x.shape}]`,
      segmentIds.shape,
    );
  }
  const sliceShape = x.shape.slice(idRank);
  const sliceSize = tf.util.sizeFromShape(sliceShape);
  const y = backend.makeOutput([numSegments, ...sliceShape], x.dtype);
  const xValues = backend.typedArrayFromHeap(x);
  const yValues = backend.typedArrayFromHeap(y).fill(0);
  backend.typedArrayFromHeap(segmentIds).forEach((id, i) => {
    if (id < 0 || id >= numSegments) return;
    for (let j = 0; j < sliceSize; j++) {
      yValues[id * sliceSize + j] += xValues[i * sliceSize + j];
    }
  });
  return y;
}

export const unsortedSegmentSumConfig = wasmKernel(
  tf.UnsortedSegmentSum,
  unsortedSegmentSum,
);
