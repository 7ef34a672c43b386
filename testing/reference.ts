/**
 * Batch normalization in float64, written to be read: it walks over indices, and knows
 * nothing of how the layer and its kernels are made.
 */
export interface Reference {
  y: number[];
  mean: number[];
  variance: number[];
}

export interface Problem {
  x: ArrayLike<number>;
  shape: readonly number[];
  axis: number;
  gamma: ArrayLike<number>;
  beta: ArrayLike<number>;
  epsilon: number;
}

/** The channel that each value of a tensor belongs to. */
export function channelOfEach(shape: readonly number[], axis: number): number[] {
  const channelAxis = (axis + shape.length) % shape.length;
  const stride = shape.slice(channelAxis + 1).reduce((a, b) => a * b, 1);
  const size = shape.reduce((a, b) => a * b, 1);
  return Array.from(
    {length: size},
    (_, i) => Math.floor(i / stride) % shape[channelAxis],
  );
}

export function momentsOf(
  x: ArrayLike<number>,
  channelOf: readonly number[],
  channels: number,
) {
  const values = Array.from({length: channels}, (): number[] => []);
  channelOf.forEach((channel, i) => values[channel].push(x[i]));
  const average = (numbers: number[]) =>
    numbers.reduce((a, b) => a + b, 0) / numbers.length;
  const mean = values.map(average);
  const variance = values.map((numbers, c) =>
    average(numbers.map(value => (value - mean[c]) ** 2)),
  );
  return {mean, variance};
}

/** Training mode: normalizes with the statistics of x. */
export function trainingReference(problem: Problem): Reference {
  const channelOf = channelOfEach(problem.shape, problem.axis);
  const statistics = momentsOf(problem.x, channelOf, problem.gamma.length);
  return {...inferenceReference(problem, statistics), ...statistics};
}

/** Inference mode: normalizes with the statistics given. */
export function inferenceReference(
  {x, shape, axis, gamma, beta, epsilon}: Problem,
  {mean, variance}: {mean: ArrayLike<number>; variance: ArrayLike<number>},
): {y: number[]} {
  const y = channelOfEach(shape, axis).map(
    (c, i) => (gamma[c] * (x[i] - mean[c])) / Math.sqrt(variance[c] + epsilon) + beta[c],
  );
  return {y};
}

/** The derivative of `f` at `values` by central differences, one value at a time. */
export function finiteDifferences(
  f: (values: number[]) => number,
  values: ArrayLike<number>,
  step = 1e-4,
): number[] {
  return Array.from(values, (value, i) => {
    const shifted = (by: number) =>
      Array.from(values, (v, j) => (j === i ? value + by : v));
    return (f(shifted(step)) - f(shifted(-step))) / (2 * step);
  });
}

/** Σ weights·values: turns a tensor into the scalar that gradients are taken of. */
export function dot(values: ArrayLike<number>, weights: ArrayLike<number>): number {
  return Array.from(values, (value, i) => value * weights[i]).reduce((a, b) => a + b, 0);
}
