/**
 * The loops of batch normalization over plain arrays: two that read, two that write, which is
 * the least traffic there can be. They work in float64, and round once at the end.
 *
 * Each has two forms. Where the channels come last (inner = 1), the innermost loop runs over
 * the channels and the sums stay in arrays; elsewhere it runs over `inner` and they stay in
 * registers.
 */
import type {ChannelView} from '../../channel_view.js';

type Floats = Float32Array | Float64Array;

/** The mean and the biased variance of each channel. */
export function moments(x: Float32Array, [outer, channels, inner]: ChannelView) {
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  // Sums of the differences to the first value: exact enough however large the mean is.
  const shifts = Float64Array.from({length: channels}, (_, c) => x[c * inner]);
  if (inner === 1) {
    for (let i = 0; i < x.length;) {
      for (let c = 0; c < channels; ++c, ++i) {
        const d = x[i] - shifts[c];
        sums[c] += d;
        squares[c] += d * d;
      }
    }
  } else {
    for (let o = 0, i = 0; o < outer; ++o) {
      for (let c = 0; c < channels; ++c) {
        const shift = shifts[c];
        let sum = 0;
        let square = 0;
        for (const end = i + inner; i < end; ++i) {
          const d = x[i] - shift;
          sum += d;
          square += d * d;
        }
        sums[c] += sum;
        squares[c] += square;
      }
    }
  }
  const n = outer * inner;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let c = 0; c < channels; ++c) {
    const d = sums[c] / n;
    mean[c] = shifts[c] + d;
    variance[c] = Math.max(0, squares[c] / n - d * d);
  }
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

/** y = scale·x + offset. */
export function scaleAndOffset(
  x: Float32Array,
  [outer, channels, inner]: ChannelView,
  scale: Float64Array,
  offset: Float64Array,
): Float32Array {
  const y = new Float32Array(x.length);
  if (inner === 1) {
    for (let i = 0; i < x.length;) {
      for (let c = 0; c < channels; ++c, ++i) y[i] = scale[c] * x[i] + offset[c];
    }
  } else {
    for (let o = 0, i = 0; o < outer; ++o) {
      for (let c = 0; c < channels; ++c) {
        const s = scale[c];
        const b = offset[c];
        for (const end = i + inner; i < end; ++i) y[i] = s * x[i] + b;
      }
    }
  }
  return y;
}

/** Σdy, Σx′ and Σdy·x′ of each channel, with x′ = x − mean. */
export function gradSums(
  dy: Float32Array,
  x: Float32Array,
  mean: Float32Array,
  [outer, channels, inner]: ChannelView,
) {
  const sumDy = new Float64Array(channels);
  const sumX = new Float64Array(channels);
  const sumDyX = new Float64Array(channels);
  if (inner === 1) {
    for (let i = 0; i < x.length;) {
      for (let c = 0; c < channels; ++c, ++i) {
        const d = x[i] - mean[c];
        sumDy[c] += dy[i];
        sumX[c] += d;
        sumDyX[c] += dy[i] * d;
      }
    }
  } else {
    for (let o = 0, i = 0; o < outer; ++o) {
      for (let c = 0; c < channels; ++c) {
        const m = mean[c];
        let s = 0;
        let sx = 0;
        let sdx = 0;
        for (const end = i + inner; i < end; ++i) {
          const d = x[i] - m;
          s += dy[i];
          sx += d;
          sdx += dy[i] * d;
        }
        sumDy[c] += s;
        sumX[c] += sx;
        sumDyX[c] += sdx;
      }
    }
  }
  return {sumDy, sumX, sumDyX};
}

/** dx = a·dy + b·x + offset. */
export function combine(
  dy: Float32Array,
  x: Float32Array,
  [outer, channels, inner]: ChannelView,
  a: Float64Array,
  b: Float64Array,
  offset: Float64Array,
): Float32Array {
  const dx = new Float32Array(x.length);
  if (inner === 1) {
    for (let i = 0; i < x.length;) {
      for (let c = 0; c < channels; ++c, ++i) {
        dx[i] = a[c] * dy[i] + b[c] * x[i] + offset[c];
      }
    }
  } else {
    for (let o = 0, i = 0; o < outer; ++o) {
      for (let c = 0; c < channels; ++c) {
        const ac = a[c];
        const bc = b[c];
        const shift = offset[c];
        for (const end = i + inner; i < end; ++i) dx[i] = ac * dy[i] + bc * x[i] + shift;
      }
    }
  }
  return dx;
}
