/**
 * Conv2DBackpropFilter: the gradient of the filter of a 2-D convolution,
 *
 *   dFilter[i, j, c, k] = Σ_{n, h, w} x[n, sh·h + i − top, sw·w + j − left, c] · dy[n, h, w, k].
 *
 * For one tap (i, j) this is a matrix product: inChannels × positions by positions ×
 * outChannels, a position being an (n, h, w). It is computed without copying the image once
 * for every tap. Each phase of the image (conv_geometry.ts) is written once, channels
 * outermost, on a grid of positions with just so much room between rows and between images
 * that a shifted position never meets foreign values, only zeros. dy is written on the same
 * grid, zero in the room between. Then the matrix of a tap is the phase's memory read from a
 * shifted address, and the factor dy is the same for all taps, so that the backend packs it
 * only once.
 *
 * An infinite value of x or dy may make more of dFilter NaN than the sum above, as it meets
 * zeros of the room between.
 *
 * The batch is taken in groups of images, which bounds the memory, keeps the matrices in the
 * processor's cache and, since the groups' results are added up, the rounding errors small.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {
  computeConvGeometry,
  ConvAxis,
  ConvGeometry,
  maxShift,
  metInputs,
  minShift,
  Phase,
} from './conv_geometry.js';
import {KernelArgs, wasmKernel} from './kernel.js';
import {heapValues, Temporaries} from './temporaries.js';

/** Positions per group of images that are aimed at. */
const POSITIONS_PER_GROUP = 4096;

type Args = KernelArgs<
  {x: tf.TensorInfo; dy: tf.TensorInfo},
  tf.Conv2DBackpropFilterAttrs
>;

/** The positions of a group of images; the room between them included. */
interface Grid {
  images: number;
  height: number;
  width: number;
  size: number;
}

function conv2dBackpropFilter({inputs: {x, dy}, attrs, backend}: Args): tf.TensorInfo {
  const {filterShape} = attrs;
  const geometry = computeConvGeometry(
    tf.Conv2DBackpropFilter,
    {input: x.shape, filter: filterShape},
    {x, dy},
    attrs,
  );
  const {batchSize, height, width} = geometry;
  const gridHeight = gridSize(height);
  const gridWidth = gridSize(width);
  const imagesPerGroup = Math.max(
    1,
    Math.round(POSITIONS_PER_GROUP / (gridHeight * gridWidth)),
  );
  const temporaries = new Temporaries(backend);
  try {
    const dFilter = temporaries.allocate(filterShape);
    heapValues(backend, dFilter).fill(0);
    for (let first = 0; first < batchSize; first += imagesPerGroup) {
      const images = Math.min(imagesPerGroup, batchSize - first);
      const size = images * gridHeight * gridWidth;
      const grid = {images, height: gridHeight, width: gridWidth, size};
      addGroup({backend, geometry, grid, first, x, dy, dFilter});
    }
    return temporaries.release(dFilter);
  } finally {
    temporaries.dispose();
  }
}

/**
 * The positions a row needs so that, whatever the shift, position o + shift of an output o
 * holds input o + shift or, where the image has none, zero. Left of the row lies the end of
 * the row before it.
 */
function gridSize(axis: ConvAxis): number {
  const {outSize, phases} = axis;
  return Math.max(
    outSize,
    ...phases.map(phase =>
      Math.max(
        metInputs(phase, outSize).end + Math.max(0, -minShift(phase)),
        outSize + maxShift(phase),
      ),
    ),
  );
}

interface Group {
  backend: BackendWasm;
  geometry: ConvGeometry;
  grid: Grid;
  /** Index of the group's first image in the batch. */
  first: number;
  x: tf.TensorInfo;
  dy: tf.TensorInfo;
  dFilter: tf.TensorInfo;
}

/** Adds what the images of a group contribute to dFilter. */
function addGroup(group: Group): void {
  const {backend, geometry, grid, dFilter} = group;
  const {inChannels, outChannels, height, width} = geometry;
  const shiftOf = (h: number, w: number) => h * grid.width + w;
  const temporaries = new Temporaries(backend);
  try {
    const dyOnGrid = placeDy(group, temporaries);
    for (const h of height.phases) {
      for (const w of width.phases) {
        // Zeros before and after, for the first shifted positions and the last.
        const before = Math.max(0, -shiftOf(minShift(h), minShift(w)));
        const after = Math.max(0, shiftOf(maxShift(h), maxShift(w)));
        const xOnGrid = temporaries.allocate([before + inChannels * grid.size + after]);
        placePhase(group, h, w, heapValues(backend, xOnGrid), before);
        for (const tapH of h.taps) {
          for (const tapW of w.taps) {
            const shifted = temporaries.view(
              xOnGrid,
              before + shiftOf(tapH.shift, tapW.shift),
              [1, inChannels, grid.size],
            );
            const product = temporaries.run(
              tf.BatchMatMul,
              {a: shifted, b: dyOnGrid},
              {transposeA: false, transposeB: false},
            );
            const tap = tapH.index * width.windowSize + tapW.index;
            addTo(
              heapValues(backend, dFilter),
              tap * inChannels * outChannels,
              heapValues(backend, product),
            );
            temporaries.free(product);
          }
        }
        temporaries.free(xOnGrid);
      }
    }
  } finally {
    temporaries.dispose();
  }
}

function addTo(sum: Float32Array, offset: number, values: Float32Array): void {
  for (let i = 0; i < values.length; i++) sum[offset + i] += values[i];
}

/** dy of the group's images on the grid, [1, positions, outChannels]. */
function placeDy({backend, geometry, grid, first, dy}: Group, temporaries: Temporaries) {
  const {outChannels, height, width} = geometry;
  const shape = [1, grid.size, outChannels];
  const rowLength = width.outSize * outChannels;
  const start = first * height.outSize * rowLength;
  if (grid.height === height.outSize && grid.width === width.outSize) {
    return temporaries.view(dy, start, shape);
  }
  const dyOnGrid = temporaries.allocate(shape);
  const source = heapValues(backend, dy);
  const target = heapValues(backend, dyOnGrid).fill(0);
  let row = start;
  for (let n = 0; n < grid.images; n++) {
    for (let h = 0; h < height.outSize; h++) {
      const position = (n * grid.height + h) * grid.width;
      target.set(source.subarray(row, row + rowLength), position * outChannels);
      row += rowLength;
    }
  }
  return dyOnGrid;
}

/** Writes a phase of the group's images on the grid, from `start` on, channels outermost. */
function placePhase(
  {backend, geometry, grid, first, x}: Group,
  h: Phase,
  w: Phase,
  target: Float32Array,
  start: number,
): void {
  const {inChannels, height, width} = geometry;
  const source = heapValues(backend, x);
  const rows = metInputs(h, height.outSize).end;
  const columns = metInputs(w, width.outSize).end;
  const step = width.stride * inChannels;
  target.fill(0);
  for (let n = 0; n < grid.images; n++) {
    for (let row = 0; row < rows; row++) {
      const y = (first + n) * height.inSize + height.stride * row + h.phase;
      const from = (y * width.inSize + w.phase) * inChannels;
      const to = start + (n * grid.height + row) * grid.width;
      transposeRow(source, from, step, columns, target, to, grid.size, inChannels);
    }
  }
}

/**
 * target[to + c·channelStep + i] = source[from + i·step + c], for `count` indices i and
 * `channels` channels c. Four channels at a time: twice as fast as one.
 */
function transposeRow(
  source: Float32Array,
  from: number,
  step: number,
  count: number,
  target: Float32Array,
  to: number,
  channelStep: number,
  channels: number,
): void {
  let c = 0;
  for (; c + 3 < channels; c += 4) {
    let s = from + c;
    let t = to + c * channelStep;
    for (let i = 0; i < count; i++, s += step, t++) {
      target[t] = source[s];
      target[t + channelStep] = source[s + 1];
      target[t + 2 * channelStep] = source[s + 2];
      target[t + 3 * channelStep] = source[s + 3];
    }
  }
  for (; c < channels; c++) {
    let s = from + c;
    let t = to + c * channelStep;
    for (let i = 0; i < count; i++, s += step, t++) target[t] = source[s];
  }
}

export const conv2dBackpropFilterConfig = wasmKernel(
  tf.Conv2DBackpropFilter,
  conv2dBackpropFilter,
);
