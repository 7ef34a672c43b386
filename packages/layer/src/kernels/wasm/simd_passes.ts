/**
 * The passes as WebAssembly with SIMD; assembly/norm_passes.ts has them. The module sees a view
 * by lanes, of which it computes four at once.
 */
import type {Affine, Bounds, Passes} from '../arrays/passes.js';
import type {ChannelView} from '../../channel_view.js';
import {valueArrays, type NormModule, type Pass, type ValueArray} from './module.js';

interface Lanes {
  /** The view as the module gets it. */
  view: ChannelView;
  count: number;
  channelOf(lane: number): number;
}

/**
 * Where the channels come last, a lane is a channel. If their number is not a multiple of four,
 * two or four rows are taken as one, where that leaves none over. Elsewhere each channel has
 * four lanes, for values that are next to each other.
 */
function lanesOf(view: ChannelView): Lanes {
  const [outer, channels, inner] = view;
  if (inner > 1) return {view, count: 4 * channels, channelOf: lane => lane >> 2};
  const rows = channels % 4 === 0 ? 1 : channels % 2 === 0 ? 2 : 4;
  const joined = outer % rows === 0 ? rows : 1;
  const count = joined * channels;
  return {
    view: [outer / joined, count, 1],
    count,
    channelOf: lane => lane % channels,
  };
}

/** The most parameters, in float32, and sums, in float64, that a pass has of each lane. */
const PARAMS = 4;
const SUMS = 3;

/** How much memory the passes need for what they have of each lane. */
export function scratchBytes(view: ChannelView): number {
  return lanesOf(view).count * (4 * PARAMS + 8 * SUMS);
}

/** Passes over arrays in the module's memory, `buffer`, with scratchBytes(view) at `scratch`. */
export function simdPasses(
  module: NormModule,
  buffer: ArrayBufferLike,
  scratch: number,
  view: ChannelView,
): Passes {
  const [outer, channels, inner] = view;
  const lanes = lanesOf(view);
  const sums = new Float64Array(buffer, scratch, SUMS * lanes.count);
  const params = new Float32Array(
    buffer,
    scratch + sums.byteLength,
    PARAMS * lanes.count,
  );

  function run(
    pass: Pass,
    arrays: Partial<Record<ValueArray, Float32Array>>,
    [low, high]: Bounds = [0, 0],
  ): void {
    for (const name of valueArrays) module[name].value = arrays[name]?.byteOffset ?? 0;
    module.params.value = params.byteOffset;
    module.sums.value = sums.byteOffset;
    module.low.value = low;
    module.high.value = high;
    module[pass](...lanes.view);
  }

  function setParams(...all: ArrayLike<number>[]): void {
    all.forEach((values, i) => {
      for (let lane = 0; lane < lanes.count; ++lane) {
        params[i * lanes.count + lane] = values[lanes.channelOf(lane)];
      }
    });
  }

  /** Sets mean, scale and offset; what float32 cuts off the mean goes into the offset. */
  function setAffine({mean, scale, offset}: Affine, ...more: Float64Array[]): void {
    const center = Float32Array.from(mean);
    const rest = offset.map((value, c) => value + scale[c] * (center[c] - mean[c]));
    setParams(center, scale, rest, ...more);
  }

  /** The first `count` sums, by channel. */
  function readSums(count: number): Float64Array[] {
    return Array.from({length: count}, (_, i) => {
      const ofChannels = new Float64Array(channels);
      for (let lane = 0; lane < lanes.count; ++lane) {
        ofChannels[lanes.channelOf(lane)] += sums[i * lanes.count + lane];
      }
      return ofChannels;
    });
  }

  return {
    moments(x) {
      // Sums of the differences to the first value: exact enough however large the mean is.
      const shift = Float32Array.from({length: channels}, (_, c) => x[c * inner]);
      setParams(shift);
      sums.fill(0);
      run('moments', {x});
      const [sum, square] = readSums(2);
      const n = outer * inner;
      return {
        mean: sum.map((value, c) => shift[c] + value / n),
        variance: square.map((value, c) => Math.max(0, value / n - (sum[c] / n) ** 2)),
      };
    },

    normalize(y, x, affine, shortcut, bounds) {
      setAffine(affine);
      run('normalize', {y, x, shortcut}, bounds);
    },

    gradSums({dy, y, bounds}, x, mean) {
      setParams(mean);
      sums.fill(0);
      run('gradSums', {dy, y, x}, bounds);
      const [sumDz, sumX, sumDzX] = readSums(3);
      return {sumDz, sumX, sumDzX};
    },

    inputGrad(dx, dz, {dy, y, bounds}, x, {dzScale, ...affine}) {
      setAffine(affine, dzScale);
      run('inputGrad', {dx, dz, dy, y, x}, bounds);
    },
  };
}
