/**
 * The passes as WebAssembly with SIMD; assembly/norm_passes.ts has them. The module sees a view
 * by lanes, of which it computes four at once.
 */
import {
  momentsOfSums,
  type Affine,
  type Bounds,
  type Floats,
  type Passes,
} from '../arrays/passes.js';
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
  const [, channels, inner] = view;
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

  /** Sets parameter `index` of each lane to values[channel·stride]. */
  function setParam(index: number, values: Floats, stride = 1): void {
    const start = index * lanes.count;
    for (let lane = 0; lane < lanes.count; ++lane) {
      params[start + lane] = values[lanes.channelOf(lane) * stride];
    }
  }

  /** Sets mean, scale and offset; what float32 cuts off the mean goes into the offset. */
  function setAffine({mean, scale, offset}: Affine): void {
    const rest = new Float64Array(channels);
    for (let c = 0; c < channels; ++c) {
      rest[c] = offset[c] + scale[c] * (Math.fround(mean[c]) - mean[c]);
    }
    setParam(0, mean);
    setParam(1, scale);
    setParam(2, rest);
  }

  /** Sum `index`, by channel. */
  function readSum(index: number): Float64Array {
    const start = index * lanes.count;
    const ofChannels = new Float64Array(channels);
    for (let lane = 0; lane < lanes.count; ++lane) {
      ofChannels[lanes.channelOf(lane)] += sums[start + lane];
    }
    return ofChannels;
  }

  return {
    moments(x) {
      setParam(0, x, inner);
      sums.fill(0);
      run('moments', {x});
      return momentsOfSums(x, view, readSum(0), readSum(1));
    },

    normalize(y, x, affine, shortcut, bounds) {
      setAffine(affine);
      run('normalize', {y, x, shortcut}, bounds);
    },

    gradSums({dy, y, bounds}, x, mean) {
      setParam(0, mean);
      sums.fill(0);
      run('gradSums', {dy, y, x}, bounds);
      return {sumDz: readSum(0), sumX: readSum(1), sumDzX: readSum(2)};
    },

    inputGrad(dx, dz, {dy, y, bounds}, x, affine) {
      setAffine(affine);
      setParam(3, affine.dzScale);
      run('inputGrad', {dx, dz, dy, y, x}, bounds);
    },
  };
}
