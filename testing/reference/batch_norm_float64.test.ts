import {dot, finiteDifferences, normalValues, trainingReference} from './index.js';

import {type Batch, gradientsOf, normalize, statisticsOf} from './batch_norm_float64.js';

const shapes: [number[], number][] = [
  [[5, 3], 1],
  [[2, 3, 4], 1],
  [[2, 3, 2, 4], 3],
  [[2, 3, 2, 2, 3], 2],
];

function batchOf(shape: number[], axis: number): Batch {
  const size = shape.reduce((a, b) => a * b);
  return {
    x: normalValues(size, {seed: 1, mean: 2, standardDeviation: 3}),
    shape,
    axis,
    gamma: normalValues(shape[axis], {seed: 2, mean: 1, standardDeviation: 0.5}),
    beta: normalValues(shape[axis], {seed: 3}),
    epsilon: 1e-3,
  };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
}

describe.each(shapes)('a batch of shape %j with channels on axis %d', (shape, axis) => {
  const batch = batchOf(shape, axis);
  const statistics = statisticsOf(batch);

  it('is normalized as by the reference', () => {
    const expected = trainingReference(batch);
    expect(largestDifference(statistics.mean, expected.mean)).toBeLessThan(1e-12);
    expect(largestDifference(statistics.variance, expected.variance)).toBeLessThan(1e-12);
    const y = normalize(batch, statistics);
    expect(largestDifference(y, expected.y)).toBeLessThan(1e-12);
  });

  it.each([
    ['x', 'dx'],
    ['gamma', 'dgamma'],
    ['beta', 'dbeta'],
  ] as const)('has the gradient of %s that finite differences have', (of, gradient) => {
    const dy = normalValues(batch.x.length, {seed: 4});
    const loss = (values: number[]) =>
      dot(trainingReference({...batch, [of]: values}).y, dy);
    const expected = finiteDifferences(loss, batch[of]);
    const actual = gradientsOf(batch, statistics, dy)[gradient];
    expect(largestDifference(actual, expected)).toBeLessThan(1e-6);
  });
});
