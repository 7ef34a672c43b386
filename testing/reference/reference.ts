/**
 * Batch normalization in float64, written to be read: it walks over values and asks of each
 * which group it is normalized with. It knows nothing of how the layer and its kernels are
 * made.
 */
type Numbers = ArrayLike<number>;

export interface Problem {
  x: Numbers;
  shape: readonly number[];
  axis: number;
  gamma: Numbers;
  beta: Numbers;
  epsilon: number;
  /** A weight for each value of x; default 1. */
  weights?: Numbers;
  /** Added to the sum of the weights before dividing by it. */
  weightOffset?: number;
  /** The number of examples in a virtual batch; default all. */
  virtualBatchSize?: number;
  /** The normalized value becomes r·x̂ + d, a pair a channel. */
  correction?: {r: Numbers; d: Numbers};
  /** Added to y. */
  shortcut?: Numbers;
  activation?: (z: number) => number;
}

export interface Reference {
  y: number[];
  /** Of each channel; the average over virtual batches. */
  mean: number[];
  variance: number[];
}

/** The channel that each value of a tensor belongs to. */
export function channelOfEach(shape: readonly number[], axis: number): number[] {
  const channelAxis = (axis + shape.length) % shape.length;
  return indices(shape).map(index => index[channelAxis]);
}

/** Σwx/Σw and Σw(x − mean)²/Σw. */
function momentsOf(x: number[], weights: number[], offset = 0) {
  const total = weights.reduce((a, b) => a + b, 0) + offset;
  // Values of weight 0 are left out, not multiplied: they may be NaN.
  const sum = (of: (value: number) => number) =>
    x.reduce((a, value, i) => (weights[i] === 0 ? a : a + weights[i] * of(value)), 0);
  const mean = sum(value => value) / total;
  return {mean, variance: sum(value => (value - mean) ** 2) / total};
}

/** Mean and biased variance of each channel. */
export function channelMoments(x: Numbers, shape: readonly number[], axis: number) {
  const channels = shape.at(axis)!;
  const {mean, variance} = trainingReference({
    x,
    shape,
    axis,
    gamma: new Float64Array(channels),
    beta: new Float64Array(channels),
    epsilon: 1,
  });
  return {mean, variance};
}

/** Training mode: normalizes with the statistics of x. */
export function trainingReference(problem: Problem): Reference {
  const {x, shape, axis, weights, weightOffset, virtualBatchSize} = problem;
  const batch = shape[0];
  const groups = virtualBatchSize === undefined ? 1 : batch / virtualBatchSize;
  const channels = problem.gamma.length;
  const {channelOf, groupOf, members} = groupingOf(shape, axis, groups);
  const moments = members.map(ofGroup =>
    ofGroup.map(ofChannel =>
      momentsOf(
        ofChannel.map(i => x[i]),
        ofChannel.map(i => weights?.[i] ?? 1),
        weightOffset,
      ),
    ),
  );
  const y = channelOf.map((c, i) => {
    const {mean, variance} = moments[groupOf[i]][c];
    return outputOf(problem, i, c, (x[i] - mean) / Math.sqrt(variance + problem.epsilon));
  });
  const average = (of: (m: {mean: number; variance: number}) => number) =>
    Array.from({length: channels}, (_, c) =>
      moments.reduce((sum, group) => sum + of(group[c]) / groups, 0),
    );
  return {y, mean: average(m => m.mean), variance: average(m => m.variance)};
}

/** Inference mode: normalizes with the statistics given. */
export function inferenceReference(
  problem: Problem,
  {mean, variance}: {mean: Numbers; variance: Numbers},
): {y: number[]} {
  const {x, shape, axis, epsilon} = problem;
  const y = channelOfEach(shape, axis).map((c, i) =>
    outputOf(problem, i, c, (x[i] - mean[c]) / Math.sqrt(variance[c] + epsilon)),
  );
  return {y};
}

/** Which values are normalized together. */
interface Grouping {
  /** The channel and the virtual batch of each value. */
  channelOf: number[];
  groupOf: number[];
  /** The values of each virtual batch, for each channel. */
  members: number[][][];
}

/** Finite differences ask for the same one thousands of times. */
let lastGrouping: {key: string; grouping: Grouping} | null = null;

function groupingOf(shape: readonly number[], axis: number, groups: number): Grouping {
  const key = JSON.stringify([shape, axis, groups]);
  if (lastGrouping?.key === key) return lastGrouping.grouping;
  const channelOf = channelOfEach(shape, axis);
  const groupOf = indices(shape).map(([example]) => example % groups);
  const members = Array.from({length: groups}, (_, group) =>
    Array.from({length: shape.at(axis)!}, (_, channel) =>
      channelOf.flatMap((c, i) => (c === channel && groupOf[i] === group ? [i] : [])),
    ),
  );
  const grouping = {channelOf, groupOf, members};
  lastGrouping = {key, grouping};
  return grouping;
}

/** What becomes of the normalized value of number i, in channel c. */
function outputOf(
  {gamma, beta, correction, shortcut, activation = z => z}: Problem,
  i: number,
  c: number,
  normalized: number,
): number {
  const corrected = correction
    ? normalized * correction.r[c] + correction.d[c]
    : normalized;
  return activation(corrected * gamma[c] + beta[c] + (shortcut?.[i] ?? 0));
}

/** The index of each value of a tensor, one number a dimension. */
function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, size) =>
      all.flatMap(index => Array.from({length: size}, (_, i) => [...index, i])),
    [[]],
  );
}
