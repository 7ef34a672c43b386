import {normalValues} from '@resbatchnorm/testing/reference';

import {histogramOf} from './summary';

/** The definition: bucket i holds what is in [edge i, edge i + 1), the last one its end too. */
function countsBetween(values: number[], edges: number[]): number[] {
  const last = edges.length - 2;
  return edges
    .slice(0, -1)
    .map(
      (edge, i) =>
        values.filter(
          value =>
            value >= edge &&
            (value < edges[i + 1] || (i === last && value === edges[i + 1])),
        ).length,
    );
}

test.each([2, 7, 64, 1000])(
  'has 30 buckets of equal width that hold each of %i values once',
  size => {
    for (let seed = 0; seed < 20; seed++) {
      const values = Array.from(normalValues(size, {seed, mean: 3}));
      const {edges, counts} = histogramOf(values);
      expect(edges).toHaveLength(31);
      expect(edges[0]).toBe(Math.min(...values));
      expect(edges[30]).toBe(Math.max(...values));
      expect(counts).toEqual(countsBetween(values, edges));
      expect(counts.reduce((a, b) => a + b)).toBe(size);
    }
  },
);

test('puts values on an edge, as rounded, into the bucket on their right', () => {
  for (const scale of [0.1, 0.7, 1 / 3, 1e-40, 1e38]) {
    const values = Array.from({length: 31}, (_, i) => i * scale);
    const {edges, counts} = histogramOf(values);
    expect(counts).toEqual(countsBetween(values, edges));
  }
});

test('of equal values reaches half a unit to both sides', () => {
  const {edges, counts} = histogramOf([2, 2, 2]);
  expect([edges[0], edges[30]]).toEqual([1.5, 2.5]);
  expect(counts).toEqual(counts.map((_, i) => (i === 15 ? 3 : 0)));
});

test('of equal values that are too great for that has one bucket', () => {
  expect(histogramOf([1e20, 1e20])).toEqual({edges: [1e20, 1e20], counts: [2]});
});

test('leaves out what is not finite', () => {
  expect(histogramOf([NaN, 1, Infinity, 2, -Infinity])).toEqual(histogramOf([1, 2]));
});

test('has no buckets without finite values', () => {
  expect(histogramOf([])).toEqual({edges: [], counts: []});
  expect(histogramOf(new Float32Array([NaN, Infinity]))).toEqual({edges: [], counts: []});
});
