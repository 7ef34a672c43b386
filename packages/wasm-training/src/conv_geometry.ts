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
import {computeConvolution} from './convolution.js';
import {WindowAxis} from './windows.js';

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

/** The windows along one axis of the image, with the phases that some tap meets. */
export interface ConvAxis extends WindowAxis {
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

/** As `computeConvolution`, of a 2-D convolution. */
export function computeConvGeometry(
  ...args: Parameters<typeof computeConvolution>
): ConvGeometry {
  const {axes, ...sizes} = computeConvolution(...args);
  return {...sizes, height: withPhases(axes[0]), width: withPhases(axes[1])};
}

function withPhases(axis: WindowAxis): ConvAxis {
  const tapsOfPhase = new Map<number, Tap[]>();
  for (let index = 0; index < axis.windowSize; index++) {
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
