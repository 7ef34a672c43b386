/** What a summary of a training is, what takes summaries, and the histograms in them. */

/**
 * The values of one moment of the training, by tag: a point of the curve of each scalar, and a
 * histogram of each weight.
 */
export interface Summary {
  /** Values of the validation data go to a run of their own, under the same tags. */
  run: 'train' | 'validation';
  /** Training steps done; for the tags `epoch_…`, the epoch, from 0. */
  step: number;
  /** Seconds since 1970. */
  wallTime: number;
  scalars: Record<string, number>;
  histograms: Record<string, Histogram>;
}

/** Takes the summaries of a training. What its functions throw ends the training. */
export interface SummaryWriter {
  /** Called when a training begins. */
  begin?(): void | Promise<void>;
  /** Called with what became due at one time. */
  write(summaries: readonly Summary[]): void | Promise<void>;
}

/** Values between `edges[i]` and `edges[i + 1]`: `counts[i]`. */
export interface Histogram {
  /** One more than there are counts; none if there were no finite values. */
  edges: number[];
  counts: number[];
}

/** The bucket count of `tf.summary.histogram`. */
const BUCKETS = 30;

/**
 * The histogram of the finite values: 30 buckets of equal width from the least to the greatest
 * one, each with its left edge, the last with its right one as well. If all values are equal,
 * the buckets reach from value − 0.5 to value + 0.5. It has the edges and counts of
 * `numpy.histogram(values, bins=30)` on float64, bit for bit.
 *
 * Where NumPy has no answer: values that are not finite are left out; without finite values
 * there are no buckets; and equal values that are so great that the edges of the buckets would
 * coincide in float64 are in one bucket, of width 0.
 */
export function histogramOf(values: ArrayLike<number>): Histogram {
  const finite = Array.from(values).filter(Number.isFinite);
  if (finite.length === 0) return {edges: [], counts: []};
  const least = finite.reduce((a, b) => Math.min(a, b));
  const greatest = finite.reduce((a, b) => Math.max(a, b));
  const [first, last] =
    least < greatest ? [least, greatest] : [least - 0.5, greatest + 0.5];
  const edges = edgesBetween(first, last);
  if (edges.some((edge, i) => edge <= edges[i - 1])) {
    return {edges: [least, greatest], counts: [finite.length]};
  }
  const counts = new Array<number>(BUCKETS).fill(0);
  for (const value of finite) counts[bucketOf(value, edges)] += 1;
  return {edges, counts};
}

/** As `numpy.linspace` computes them. */
function edgesBetween(first: number, last: number): number[] {
  const step = (last - first) / BUCKETS;
  const edges = Array.from({length: BUCKETS}, (_, i) => i * step + first);
  return [...edges, last];
}

function bucketOf(value: number, edges: number[]): number {
  const last = BUCKETS - 1;
  const guess = Math.floor(((value - edges[0]) / (edges[BUCKETS] - edges[0])) * BUCKETS);
  let bucket = Math.min(guess, last);
  // The guess may be off by one, as it is rounded in another way than the edges.
  if (value < edges[bucket]) bucket -= 1;
  if (bucket < last && value >= edges[bucket + 1]) bucket += 1;
  return bucket;
}
