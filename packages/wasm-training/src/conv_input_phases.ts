/**
 * What the gradients of the input of a convolution and of a depthwise convolution share.
 *
 * The taps of one phase of dx (conv_geometry.ts) form a filter of their own. Reversed, its
 * convolution of stride 1 with dy is that phase of dx. With stride 1 there is one phase and
 * the convolution's result is dx itself; else the phases are interleaved.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {
  ConvAxis,
  ConvGeometry,
  maxShift,
  metInputs,
  minShift,
  Phase,
} from './conv_geometry.js';
import {heapValues, Temporaries} from './temporaries.js';

/** Attributes of the convolution of dy that gives a phase of dx. */
export interface PhaseConvAttrs {
  strides: 1;
  dilations: [number, number];
  pad: tf.backend_util.ExplicitPadding;
  dataFormat: 'NHWC';
}

/**
 * Returns the convolution of dy, with the given attributes, with the reversed taps of `h`
 * and `w`; its channels are those of the input.
 */
export type ConvolvePhase = (
  temporaries: Temporaries,
  h: Phase,
  w: Phase,
  attrs: PhaseConvAttrs,
) => tf.TensorInfo;

/** The gradient of the input, of shape `inputShape`. */
export function backpropInputByPhases(
  backend: BackendWasm,
  geometry: ConvGeometry,
  inputShape: number[],
  convolve: ConvolvePhase,
): tf.TensorInfo {
  const {height, width} = geometry;
  const temporaries = new Temporaries(backend);
  const convolvePart = (rows: Part, columns: Part) =>
    convolve(temporaries, rows.phase, columns.phase, {
      strides: 1,
      dilations: [rows.dilation, columns.dilation],
      pad: [[0, 0], rows.pad, columns.pad, [0, 0]],
      dataFormat: 'NHWC',
    });
  try {
    const rowParts = planParts(height);
    const columnParts = planParts(width);
    if (rowParts[0]?.isWholeAxis && columnParts[0]?.isWholeAxis) {
      return temporaries.release(convolvePart(rowParts[0], columnParts[0]));
    }
    const dx = temporaries.allocate(inputShape);
    heapValues(backend, dx).fill(0);
    for (const rows of rowParts) {
      for (const columns of columnParts) {
        const part = convolvePart(rows, columns);
        placePart(backend, geometry, rows, columns, part, dx);
        temporaries.free(part);
      }
    }
    return temporaries.release(dx);
  } finally {
    temporaries.dispose();
  }
}

/** How a phase of dx comes out of a convolution of dy, along one axis. */
interface Part {
  phase: Phase;
  dilation: number;
  pad: [number, number];
  /** Number, in the phase, of the first input that some output meets. */
  start: number;
  /** How many inputs there are from there on; more than 0. */
  count: number;
  /** Index of the first of them in the convolution's result. */
  skip: number;
  /** True if the convolution's result is the whole axis, neither more nor less. */
  isWholeAxis: boolean;
}

function planParts(axis: ConvAxis): Part[] {
  return axis.phases.map(phase => planPart(axis, phase)).filter(part => part.count > 0);
}

/**
 * Input u of the phase meets the outputs u − shift, from u − maxShift, by the first tap of
 * the reversed filter, to u − minShift. So the first output looked at is that of the first
 * input less maxShift, and what lies outside of dy is padding. Where that would be negative,
 * as with a padding larger than the filter, the result has surplus inputs instead.
 */
function planPart({inSize, outSize, stride}: ConvAxis, phase: Phase): Part {
  const {taps} = phase;
  const {start, end} = metInputs(phase, outSize);
  const before = maxShift(phase) - start;
  const after = end - minShift(phase) - outSize;
  return {
    phase,
    dilation: taps.length > 1 ? taps[1].shift - taps[0].shift : 1,
    pad: [Math.max(0, before), Math.max(0, after)],
    start,
    count: end - start,
    skip: Math.max(0, -before),
    isWholeAxis: stride === 1 && end - start === inSize && before >= 0 && after >= 0,
  };
}

/** Writes a part to its places in dx. */
function placePart(
  backend: BackendWasm,
  {batchSize, inChannels, height, width}: ConvGeometry,
  rows: Part,
  columns: Part,
  part: tf.TensorInfo,
  dx: tf.TensorInfo,
): void {
  const source = heapValues(backend, part);
  const target = heapValues(backend, dx);
  const [, partHeight, partWidth] = part.shape;
  const step = (width.stride - 1) * inChannels;
  for (let n = 0; n < batchSize; n++) {
    for (let row = 0; row < rows.count; row++) {
      let from =
        ((n * partHeight + rows.skip + row) * partWidth + columns.skip) * inChannels;
      const y = height.stride * (rows.start + row) + rows.phase.phase;
      const x = width.stride * columns.start + columns.phase.phase;
      let to = ((n * height.inSize + y) * width.inSize + x) * inChannels;
      for (let column = 0; column < columns.count; column++) {
        for (let c = 0; c < inChannels; c++) target[to++] = source[from++];
        to += step;
      }
    }
  }
}
