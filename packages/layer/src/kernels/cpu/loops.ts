/**
 * The loops of batch normalization over plain arrays: two that read, two that write, which is
 * the least traffic there can be. They work in float64, and round once at the end.
 *
 * Each goes over the array in runs, so that what belongs to the channel stays in registers.
 */
import type {ChannelView} from '../../channel_view.js';
import type {FusedActivation} from '../kernel.js';

type Floats = Float32Array | Float64Array;

/** How many values a block has: few enough for two arrays of them to stay in the cache. */
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

/** The mean and the biased variance of each channel. */
export function moments(x: Float32Array, view: ChannelView) {
  const [outer, channels, inner] = view;
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  forEachRun(view, (c, start, end, stride) => {
    // Sums of the differences to the first value: exact enough however large the mean is.
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
  const n = outer * inner;
  const mean = sums.map((sum, c) => x[c * inner] + sum / n);
  const variance = squares.map((square, c) =>
    Math.max(0, square / n - (sums[c] / n) ** 2),
  );
  return {mean, variance};
}

/**
 * Normalization as one multiplication and one addition: with r = 1/√(variance + epsilon),
 * scale = gamma·r and offset = beta − mean·scale.
 */
export function normalization(
  {gamma, beta, mean, variance}: Record<'gamma' | 'beta' | 'mean' | 'variance', Floats>,
  epsilon: number,
) {
  const scale = Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c] + epsilon));
  const offset = Float64Array.from(beta, (b, c) => b - mean[c] * scale[c]);
  return {scale, offset};
}

/** What an activation lets through: values in these bounds, which it cuts off all others to. */
type Bounds = readonly [low: number, high: number];

export const bounds: Record<FusedActivation, Bounds> = {
  linear: [-Infinity, Infinity],
  relu: [0, Infinity],
  relu6: [0, 6],
};

/** y = activation(scale·x + offset + shortcut). */
export function scaleAndOffset(
  x: Float32Array,
  view: ChannelView,
  {scale, offset}: Record<'scale' | 'offset', Float64Array>,
  shortcut: Float32Array | null,
  [low, high]: Bounds,
): Float32Array {
  const y = new Float32Array(x.length);
  forEachRun(view, (c, start, end, stride) => {
    const s = scale[c];
    const b = offset[c];
    for (let i = start; i < end; i += stride) {
      const z = s * x[i] + b + (shortcut === null ? 0 : shortcut[i]);
      y[i] = z < low ? low : z > high ? high : z;
    }
  });
  return y;
}

/** dz = dy·activation′, from y: dy where the activation let the value through, 0 elsewhere. */
export function activationGrad(
  dy: Float32Array,
  y: Float32Array,
  [low, high]: Bounds,
): Float32Array {
  const dz = new Float32Array(dy.length);
  for (let i = 0; i < dz.length; ++i) dz[i] = y[i] > low && y[i] < high ? dy[i] : 0;
  return dz;
}

/** Σdz, Σx′ and Σdz·x′ of each channel, with x′ = x − mean. */
export function gradSums(
  dz: Float32Array,
  x: Float32Array,
  mean: Float32Array,
  view: ChannelView,
) {
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
}

/** dx = a·dz + b·x + offset. */
export function combine(
  dz: Float32Array,
  x: Float32Array,
  view: ChannelView,
  a: Float64Array,
  b: Float64Array,
  offset: Float64Array,
): Float32Array {
  const dx = new Float32Array(x.length);
  forEachRun(view, (c, start, end, stride) => {
    const ac = a[c];
    const bc = b[c];
    const shift = offset[c];
    for (let i = start; i < end; i += stride) dx[i] = ac * dz[i] + bc * x[i] + shift;
  });
  return dx;
}
