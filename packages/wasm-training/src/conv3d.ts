/**
 * The 3-D convolution and its two gradients. Each is a sum of 2-D ones: for tap i of the
 * filter's depth, filter[i] is a 2-D filter, and the frames that it meets are a batch of
 * images,
 *
 *   y[n, d] = Σ_i conv2d(x[n, sd·d + dd·i − front], filter[i]),
 *
 * so that dFilter[i] is the gradient of the filter of that 2-D convolution, and dx the sum of
 * those of its images. The frames are sorted by depth first; then those that a tap meets lie
 * next to each other.
 *
 * The backend's own kernels are plain loops. Those of the gradients end their sums too early:
 * that of the input whatever the stride, that of the filter with strides above 1.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {computeConvolution, Convolution} from './convolution.js';
import {KernelArgs, wasmKernel} from './kernel.js';
import {heapValues, Temporaries} from './temporaries.js';
import {explicitAttrs, WindowAttrs, WindowAxis} from './windows.js';

type Args<Name extends string> = KernelArgs<
  Record<Name, tf.TensorInfo>,
  WindowAttrs & {filterShape: number[]; inputShape: number[]}
>;

function conv3d({inputs: {x, filter}, attrs, backend}: Args<'x' | 'filter'>) {
  const convolution = computeConvolution(
    tf.Conv3D,
    {input: x.shape, filter: filter.shape},
    {x, filter},
    attrs,
  );
  return withTaps(backend, convolution, (temporaries, taps, attrs2d) => {
    const frames = swapDepthAndBatch(temporaries, x);
    const y = zeros(backend, temporaries, depthFirst(convolution.outShape));
    for (const tap of taps) {
      const met = framesAt(backend, temporaries, frames, tap.inputs);
      const part = temporaries.run(
        tf.Conv2D,
        {x: met, filter: filterOf(temporaries, filter, tap)},
        attrs2d,
      );
      addToFrames(backend, part, y, tap.outputs);
      temporaries.free(part);
    }
    return swapDepthAndBatch(temporaries, y);
  });
}

function conv3dBackpropFilter({inputs: {x, dy}, attrs, backend}: Args<'x' | 'dy'>) {
  const {filterShape} = attrs;
  const convolution = computeConvolution(
    tf.Conv3DBackpropFilterV2,
    {input: x.shape, filter: filterShape},
    {x, dy},
    attrs,
  );
  return withTaps(backend, convolution, (temporaries, taps, attrs2d) => {
    const frames = swapDepthAndBatch(temporaries, x);
    const dyFrames = swapDepthAndBatch(temporaries, dy);
    const dFilter = zeros(backend, temporaries, filterShape);
    const size = tf.util.sizeFromShape(filterShape.slice(1));
    for (const tap of taps) {
      const part = temporaries.run(
        tf.Conv2DBackpropFilter,
        {
          x: framesAt(backend, temporaries, frames, tap.inputs),
          dy: framesAt(backend, temporaries, dyFrames, tap.outputs),
        },
        {...attrs2d, filterShape: filterShape.slice(1)},
      );
      heapValues(backend, dFilter).set(heapValues(backend, part), tap.index * size);
      temporaries.free(part);
    }
    return dFilter;
  });
}

function conv3dBackpropInput({
  inputs: {dy, filter},
  attrs,
  backend,
}: Args<'dy' | 'filter'>) {
  const {inputShape} = attrs;
  const convolution = computeConvolution(
    tf.Conv3DBackpropInputV2,
    {input: inputShape, filter: filter.shape},
    {dy, filter},
    attrs,
  );
  return withTaps(backend, convolution, (temporaries, taps, attrs2d) => {
    const dyFrames = swapDepthAndBatch(temporaries, dy);
    const dx = zeros(backend, temporaries, depthFirst(inputShape));
    for (const tap of taps) {
      const met = framesAt(backend, temporaries, dyFrames, tap.outputs);
      const part = temporaries.run(
        tf.Conv2DBackpropInput,
        {dy: met, filter: filterOf(temporaries, filter, tap)},
        {...attrs2d, inputShape: [met.shape[0], ...inputShape.slice(2)]},
      );
      addToFrames(backend, part, dx, tap.inputs);
      temporaries.free(part);
    }
    return swapDepthAndBatch(temporaries, dx);
  });
}

/** Depths first, first + step, …: `count` of them. */
interface Depths {
  first: number;
  step: number;
  count: number;
}

/** A tap of the filter's depth, and the depths that meet by it; at least one. */
interface DepthTap {
  index: number;
  inputs: Depths;
  outputs: Depths;
}

function depthTaps({
  inSize,
  outSize,
  windowSize,
  stride,
  dilation,
  padBefore,
}: WindowAxis) {
  const taps: DepthTap[] = [];
  for (let index = 0; index < windowSize; index++) {
    const offset = dilation * index - padBefore;
    const first = Math.max(0, Math.ceil(-offset / stride));
    const end = Math.min(outSize, Math.floor((inSize - 1 - offset) / stride) + 1);
    const count = end - first;
    if (count < 1) continue;
    const inputs = {first: stride * first + offset, step: stride, count};
    taps.push({index, inputs, outputs: {first, step: 1, count}});
  }
  return taps;
}

/** What `compute` returns, which the temporaries must own; without work for no images. */
function withTaps(
  backend: BackendWasm,
  {batchSize, axes}: Convolution,
  compute: (temporaries: Temporaries, taps: DepthTap[], attrs2d: object) => tf.TensorInfo,
): tf.TensorInfo {
  const temporaries = new Temporaries(backend);
  const [depth, ...image] = axes;
  try {
    const taps = batchSize === 0 ? [] : depthTaps(depth);
    const attrs2d = {...explicitAttrs(image), dataFormat: 'NHWC'};
    return temporaries.release(compute(temporaries, taps, attrs2d));
  } finally {
    temporaries.dispose();
  }
}

/** The filter of one tap, as a 2-D filter. */
function filterOf(temporaries: Temporaries, filter: tf.TensorInfo, {index}: DepthTap) {
  const shape = filter.shape.slice(1);
  return temporaries.view(filter, index * tf.util.sizeFromShape(shape), shape);
}

function zeros(backend: BackendWasm, temporaries: Temporaries, shape: number[]) {
  const tensor = temporaries.allocate(shape);
  heapValues(backend, tensor).fill(0);
  return tensor;
}

function depthFirst([batchSize, depth, ...rest]: number[]): number[] {
  return [depth, batchSize, ...rest];
}

/** Images [batch, depth, …] as frames [depth, batch, …], or the other way round. */
function swapDepthAndBatch(temporaries: Temporaries, x: tf.TensorInfo): tf.TensorInfo {
  return temporaries.run(tf.Transpose, {x}, {perm: [1, 0, 2, 3, 4]});
}

/** The frames of these depths as a batch of images. */
function framesAt(
  backend: BackendWasm,
  temporaries: Temporaries,
  frames: tf.TensorInfo,
  {first, step, count}: Depths,
): tf.TensorInfo {
  const [, batchSize, ...imageShape] = frames.shape;
  const size = batchSize * tf.util.sizeFromShape(imageShape);
  const shape = [count * batchSize, ...imageShape];
  if (step === 1 || count === 1) return temporaries.view(frames, first * size, shape);
  const result = temporaries.allocate(shape);
  const source = heapValues(backend, frames);
  const target = heapValues(backend, result);
  for (let i = 0; i < count; i++) {
    const from = (first + i * step) * size;
    target.set(source.subarray(from, from + size), i * size);
  }
  return result;
}

/** Adds a batch of images to the frames of these depths. */
function addToFrames(
  backend: BackendWasm,
  images: tf.TensorInfo,
  frames: tf.TensorInfo,
  {first, step, count}: Depths,
): void {
  const source = heapValues(backend, images);
  const target = heapValues(backend, frames);
  const size = source.length / count;
  for (let i = 0; i < count; i++) {
    const from = i * size;
    const to = (first + i * step) * size;
    for (let j = 0; j < size; j++) target[to + j] += source[from + j];
  }
}

export const conv3dConfigs = [
  wasmKernel(tf.Conv3D, conv3d),
  wasmKernel(tf.Conv3DBackpropFilterV2, conv3dBackpropFilter),
  wasmKernel(tf.Conv3DBackpropInputV2, conv3dBackpropInput),
];
