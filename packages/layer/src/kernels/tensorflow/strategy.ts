/** By which strategy a shape is normalized. */
import {channelView} from '../../channel_view.js';
import type {TensorFlowBackend} from './ops.js';
import {shiftedRows} from './shifted_rows.js';
import {splitRows} from './split_rows.js';
import {wholeRows, type Strategy} from './whole_rows.js';

/**
 * The CPU's ops add up the values of a channel one after the other, in as many parts as there
 * are threads at most. On two threads, of 50,176 values with a standard deviation of 1, y was
 * off by 1e-6 and the variance by 2.4e-6; of a million, both by 3e-4.
 */
const MAX_COUNT = 1 << 16;

/**
 * Where rows are narrow, they are split sooner, as it costs next to nothing: of 32,768 values
 * a channel dgamma was off by 4e-6 before, and [32, 32, 32, 16] takes 1.03 the time. Of 64
 * channels it would be 1.4 the time.
 */
const NARROW = 16;
const MAX_COUNT_IF_NARROW = 1 << 13;

/** Rows of so few channels leave the vector units empty: split, [40000, 2] took 0.7 the time. */
const VERY_NARROW = 4;

/** How many values a row has at least once it is split, and a column at most, about. */
const SPLIT_WIDTH = 256;
const SPLIT_COUNT = 4096;

/** Below that, ops take longer to start than to run. */
const MIN_SPLIT_SIZE = 1 << 14;

/**
 * Where the channels are not last, the CPU's ops transpose what they get and what they return:
 * faster than the composed kernel up to about this size only.
 */
const MAX_TRANSPOSED_SIZE = 1 << 18;
const MAX_TRANSPOSED_COUNT = 4096;

/** Null stands for the composed kernel: it is faster there, or more accurate. */
export function strategyFor(
  {isUsingGpuDevice}: TensorFlowBackend,
  shape: number[],
  axis: number,
): Strategy | null {
  const [outer, channels, inner] = channelView(shape, axis);
  const count = outer * inner;
  // The unbiased variance of one value, which is what a GPU gives, is not a number.
  if (isUsingGpuDevice) return count > 1 ? shiftedRows : null;
  if (inner > 1) {
    const isSmall =
      count <= MAX_TRANSPOSED_COUNT && count * channels <= MAX_TRANSPOSED_SIZE;
    return isSmall ? wholeRows : null;
  }
  const isFaster = channels <= VERY_NARROW && count * channels >= MIN_SPLIT_SIZE;
  const maxCount = channels <= NARROW ? MAX_COUNT_IF_NARROW : MAX_COUNT;
  if (!isFaster && count <= maxCount) return wholeRows;
  const parts = partsOf(count, channels);
  if (parts !== null) return splitRows(parts);
  return count <= SPLIT_COUNT ? wholeRows : null;
}

/** The least number of parts that divides the rows and is enough; null if there is none. */
function partsOf(rows: number, channels: number): number | null {
  const least = Math.ceil(Math.max(SPLIT_WIDTH / channels, rows / SPLIT_COUNT));
  for (let parts = least; parts <= 4 * least; ++parts) {
    if (rows % parts === 0) return parts;
  }
  return null;
}
