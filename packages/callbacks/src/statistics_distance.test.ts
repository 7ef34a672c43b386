import {batchFromChange, statisticsDistance} from './statistics_distance';

test('is 0 of equal statistics', () => {
  const statistics = {mean: [1, -2], variance: [3, 0]};
  expect(statisticsDistance(statistics, statistics, 1e-3)).toEqual({
    mean: 0,
    variance: 0,
  });
});

test('is the root mean square of the offset and of the logarithm of the scale', () => {
  const batch = {mean: [3, 0], variance: [15, 3]};
  const moving = {mean: [1, 0], variance: [3, 3]};
  // With epsilon 1: the offset of the first channel is 2/2, the scale 4/2.
  const distance = statisticsDistance(batch, moving, 1);
  expect(distance.mean).toBeCloseTo(Math.sqrt(1 / 2), 12);
  expect(distance.variance).toBeCloseTo(Math.log(2) / Math.sqrt(2), 12);
});

test('is what inference mode does to the normalized output', () => {
  const epsilon = 0.1;
  const [mean, variance, movingMean, movingVariance] = [0.4, 2.5, -0.3, 0.7];
  const distance = statisticsDistance(
    {mean: [mean], variance: [variance]},
    {mean: [movingMean], variance: [movingVariance]},
    epsilon,
  );
  const inTraining = (x: number) => (x - mean) / Math.sqrt(variance + epsilon);
  const inInference = (x: number) =>
    (x - movingMean) / Math.sqrt(movingVariance + epsilon);
  for (const x of [-1, 0.4, 5]) {
    const y = Math.exp(distance.variance) * inTraining(x) + distance.mean;
    expect(y).toBeCloseTo(inInference(x), 12);
  }
});

test('of statistics that are not finite is not finite', () => {
  const moving = {mean: [0, 0], variance: [1, 1]};
  const batch = {mean: [NaN, 0], variance: [Infinity, 1]};
  expect(statisticsDistance(batch, moving, 1e-3)).toEqual({
    mean: NaN,
    variance: Infinity,
  });
});

test('a batch is found from the change that it made', () => {
  const before = {mean: [1, 2], variance: [1, 0]};
  const batch = {mean: [-3, 2], variance: [5, 0]};
  const after = {
    mean: before.mean.map((value, i) => 0.75 * value + 0.25 * batch.mean[i]),
    variance: before.variance.map((value, i) => 0.75 * value + 0.25 * batch.variance[i]),
  };
  expect(batchFromChange(before, after, 0.75)).toEqual(batch);
});

test('a batch that makes no change is not found', () => {
  const statistics = {mean: [1], variance: [1]};
  expect(batchFromChange(statistics, statistics, 1)).toBeUndefined();
});

test('a variance that rounding made negative is 0', () => {
  const before = {mean: [0], variance: [1]};
  const after = {mean: [0], variance: [0.8999]};
  expect(batchFromChange(before, after, 0.9)!.variance).toEqual([0]);
});
