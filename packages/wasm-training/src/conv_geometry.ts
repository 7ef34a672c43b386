/**
 * The geometry of a convolution, as its two gradients need it.
 *
 * Along one axis of the image, output o meets tap i of the filter at the input
 *
 *   stride·o + dilation·i − padBefore  =  stride·(o + shift) + phase,   0 ≤ phase < stride.
 *
 * So the inputs fall into phases, phase p holding the inputs p, p + stride, p + 2·stride, …,
 * and within its phase each tap is a plain shift. Both gradients of a strided convolution
 * become convolutions of stride 1 on the phases: no multiplication with an inserted zero is
 * done.
 */
import * as tf from '@tensorflow/tfjs-core';

/** One tap of the filter along an axis. */
export interface Tap {
  /** Index in the filter. */
  index: number;
  /** Output o meets the input number o + shift of the phase. */
  shift: number;
}

/** The inputs phase, phase + stride, phase + 2·stride, … and the taps that meet them. */
export interface Phase {
  phase: number;
  /** How many inputs of the image belong to the phase; may be 0. */
  size: number;
  /** In the order of the filter; never empty. */
  taps: Tap[];
}

/** A convolution along one axis of the image. */
export interface ConvAxis {
  inSize: number;
  outSize: number;
  filterSize: number;
  stride: number;
  dilation: number;
  padBefore: number;
  /** The phases that some tap meets. */
  phases: Phase[];
}

/** A convolution of images in the format NHWC. */
export interface ConvGeometry {
  batchSize: number;
  inChannels: number;
  outChannels: number;
  height: ConvAxis;
  width: ConvAxis;
}

/** What the attributes of the four gradient kernels have in common. */
export interface ConvAttrs {
  strides: [number, number] | number;
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  dilations?: [number, number] | number;
  dataFormat?: 'NHWC' | 'NCHW';
  dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

type Shape4D = [number, number, number, number];

/**
 * The geometry of the convolution whose output has the gradient `dy`.
 *
 * Throws an error that names the kernel if the data format is not NHWC, if a tensor is not
 * float32, or if `dy` does not have the shape of the convolution's output.
 */
export function computeConvGeometry(
  kernelName: string,
  shapes: {input: number[]; filter: number[]},
  tensors: {dy: tf.TensorInfo; [name: string]: tf.TensorInfo},
  attrs: ConvAttrs,
  depthwise = false,
): ConvGeometry {
  const {strides, dilations, pad, dimRoundingMode, dataFormat} = attrs;
  if (dataFormat != null && dataFormat !== 'NHWC') {
    throw new Error(
      `${kernelName} of the wasm backend expects dataFormat 'NHWC', ` +
        `but received '${dataFormat}'.`,
    );
  }
  for (const [name, {dtype}] of Object.entries(tensors)) {
    if (dtype !== 'float32') {
      throw new Error(
        `${kernelName} of the wasm backend expects ${name} to be float32, ` +
          `but received ${dtype}.`,
      );
    }
  }
  const info = tf.backend_util.computeConv2DInfo(
    shapes.input as Shape4D,
    shapes.filter as Shape4D,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
  );
  if (!tf.util.arraysEqual(tensors.dy.shape, info.outShape)) {
    throw new Error(
      `${kernelName} expects dy to have shape [${info.outShape}], that of the output of ` +
        `the convolution of input [${shapes.input}] with filter [${shapes.filter}], ` +
        `but received [${tensors.dy.shape}].`,
    );
  }
  return {
    batchSize: info.batchSize,
    inChannels: info.inChannels,
    outChannels: info.outChannels,
    height: withPhases({
      inSize: info.inHeight,
      outSize: info.outHeight,
      filterSize: info.filterHeight,
      stride: info.strideHeight,
      dilation: info.dilationHeight,
      padBefore: info.padInfo.top,
    }),
    width: withPhases({
      inSize: info.inWidth,
      outSize: info.outWidth,
      filterSize: info.filterWidth,
      stride: info.strideWidth,
      dilation: info.dilationWidth,
      padBefore: info.padInfo.left,
    }),
  };
}

function withPhases(axis: Omit<ConvAxis, 'phases'>): ConvAxis {
  const tapsOfPhase = new Map<number, Tap[]>();
  for (let index = 0; index < axis.filterSize; index++) {
    const offset = axis.dilation * index - axis.padBefore;
    const shift = Math.floor(offset / axis.stride);
    const phase = offset - shift * axis.stride;
    tapsOfPhase.set(phase, [...(tapsOfPhase.get(phase) ?? []), {index, shift}]);
  }
  const phases = Array.from(tapsOfPhase, ([phase, taps]) => ({
    phase,
    size: Math.max(0, Math.ceil((axis.inSize - phase) / axis.stride)),
    taps,
  }));
  return {...axis, phases};
}

/** The smallest shift of a phase's taps. */
export function minShift({taps}: Phase): number {
  return taps[0].shift;
}

/** The largest shift of a phase's taps. */
export function maxShift({taps}: Phase): number {
  return taps[taps.length - 1].shift;
}

/**
 * The inputs of a phase that some output may meet: those numbered from `start` up to, not
 * including, `end`. Where the stride does not divide the image, inputs can be left over.
 */
export function metInputs(phase: Phase, outSize: number): {start: number; end: number} {
  const start = Math.max(0, minShift(phase));
  return {start, end: Math.max(start, Math.min(phase.size, outSize + maxShift(phase)))};
}
