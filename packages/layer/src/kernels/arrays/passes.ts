/**
 * The passes of batch normalization over arrays: two that read, two that write, which is the
 * least traffic there can be. Those in JavaScript go over an array in runs, so that what belongs
 * to the channel stays in registers; wasm/simd_passes.ts has others.
 */
import type {ChannelView} from '../../channel_view.js';

export type Floats = Float32Array | Float64Array;

/** scale·(x − mean) + offset: one value of each a channel. */
export interface Affine {
  mean: Floats;
  scale: Floats;
  offset: Floats;
}

/** What an activation lets through: values in these bounds, which it cuts off all others to. */
export type Bounds = readonly [low: number, high: number];

/**
 * dz = dy·activation′: dy where the activation let y through, 0 elsewhere. Without y the
 * activation is linear, and dz is dy.
 */
export interface Upstream {
  dy: Float32Array;
  y?: Float32Array;
  bounds: Bounds;
}

/** The passes over arrays of one view (channel_view.ts). */
export interface Passes {
  /** The mean and the biased variance of each channel. */
  moments(x: Float32Array): Record<'mean' | 'variance', Float64Array>;

  /** y = activation(scale·(x − mean) + offset + shortcut). */
  normalize(
    y: Float32Array,
    x: Float32Array,
    affine: Affine,
    shortcut: Float32Array | undefined,
    bounds: Bounds,
  ): void;

  /** Σdz, Σx′ and Σdz·x′ of each channel, with x′ = x − mean. */
  gradSums(
    upstream: Upstream,
    x: Float32Array,
    mean: Float32Array,
  ): Record<'sumDz' | 'sumX' | 'sumDzX', Float64Array>;

  /** dx = dzScale·dz + scale·(x − mean) + offset, and dz, where it is asked for. */
  inputGrad(
    dx: Float32Array,
    dz: Float32Array | undefined,
    upstream: Upstream,
    x: Float32Array,
    affine: Affine & {dzScale: Floats},
  ): void;
}

/** How many values a block has: few enough for three arrays of them to stay in the cache. */
const BLOCK_SIZE = 8192;

/**
 * Calls `visit` for runs that together are the whole array: the values of one channel from
 * index `start` on, `stride` apart, before `end`. Where the channels come last, blocks of rows
 * are gone over once for each channel; elsewhere the values of a channel are adjacent.
 */
function forEachRun(
  [outer, channels, inner]: ChannelView,
  visit: (channel: number, start: number, end: number, stride: number) => void,
): void {
  if (inner === 1) {
    const size = outer * channels;
    const block = Math.max(1, Math.floor(BLOCK_SIZE / channels)) * channels;
    for (let start = 0; start < size; start += block) {
      const end = Math.min(start + block, size);
      for (let c = 0; c < channels; ++c) visit(c, start + c, end, channels);
    }
  } else {
    for (let o = 0, start = 0; o < outer; ++o) {
      for (let c = 0; c < channels; ++c, start += inner)
        visit(c, start, start + inner, 1);
    }
  }
}

/** dz, in `target` where it is given; a pass of its own, as a condition slows others down. */
function outputGrad(
  {dy, y, bounds: [low, high]}: Upstream,
  target?: Float32Array,
): Float32Array {
  if (y === undefined) {
    target?.set(dy);
    return dy;
  }
  const dz = target ?? new Float32Array(dy.length);
  for (let i = 0; i < dz.length; ++i) dz[i] = y[i] > low && y[i] < high ? dy[i] : 0;
  return dz;
}

/**
 * The moments, in place of the sums that they come from: those of the differences to the first
 * value of the channel, which are exact enough however large the mean is, and of their squares.
 */
export function momentsOfSums(
  x: Float32Array,
  [outer, , inner]: ChannelView,
  sums: Float64Array,
  squares: Float64Array,
): Record<'mean' | 'variance', Float64Array> {
  const n = outer * inner;
  for (let c = 0; c < sums.length; ++c) {
    const difference = sums[c] / n;
    sums[c] = x[c * inner] + difference;
    squares[c] = Math.max(0, squares[c] / n - difference ** 2);
  }
  return {mean: sums, variance: squares};
}

/** The passes in plain JavaScript: in float64, rounded once at the end. */
export const javaScriptPasses = (view: ChannelView): Passes => ({
  moments(x) {
    const [, channels, inner] = view;
    const sums = new Float64Array(channels);
    const squares = new Float64Array(channels);
    forEachRun(view, (c, start, end, stride) => {
      const shift = x[c * inner];
      let sum = 0;
      let square = 0;
      for (let i = start; i < end; i += stride) {
        const d = x[i] - shift;
        sum += d;
        square += d * d;
      }
      sums[c] += sum;
      squares[c] += square;
    });
    return momentsOfSums(x, view, sums, squares);
  },

  normalize(y, x, {mean, scale, offset}, shortcut, [low, high]) {
    forEachRun(view, (c, start, end, stride) => {
      const m = mean[c];
      const s = scale[c];
      const b = offset[c];
      for (let i = start; i < end; i += stride) {
        const z = s * (x[i] - m) + b + (shortcut === undefined ? 0 : shortcut[i]);
        y[i] = z < low ? low : z > high ? high : z;
      }
    });
  },

  gradSums(upstream, x, mean) {
    const dz = outputGrad(upstream);
    const channels = view[1];
    const sumDz = new Float64Array(channels);
    const sumX = new Float64Array(channels);
    const sumDzX = new Float64Array(channels);
    forEachRun(view, (c, start, end, stride) => {
      const m = mean[c];
      let ofDz = 0;
      let ofX = 0;
      let ofDzX = 0;
      for (let i = start; i < end; i += stride) {
        const d = x[i] - m;
        ofDz += dz[i];
        ofX += d;
        ofDzX += dz[i] * d;
      }
      sumDz[c] += ofDz;
      sumX[c] += ofX;
      sumDzX[c] += ofDzX;
    });
    return {sumDz, sumX, sumDzX};
  },

  inputGrad(dx, target, upstream, x, affine) {
    const dz = outputGrad(upstream, target);
    forEachRun(view, (c, start, end, stride) => {
      const m = affine.mean[c];
      const a = affine.dzScale[c];
      const s = affine.scale[c];
      const b = affine.offset[c];
      for (let i = start; i < end; i += stride) {
        dx[i] = a * dz[i] + s * (x[i] - m) + b;
      }
    });
  },
});
