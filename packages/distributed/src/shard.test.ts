import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import * as fc from 'fast-check';

import {countExamples, partOf, takePart} from './shard';

const partsOf = (examples: number, weights: number[]) =>
  weights.map((_, rank) => partOf(examples, weights, rank));

it.each([
  [32, [1, 1], [16, 16]],
  [32, [20, 12], [20, 12]],
  [32, [31, 1], [31, 1]],
  [32, [1, 0], [32, 0]],
  [10, [1, 1, 1, 1], [3, 2, 3, 2]],
  [3, [1, 1, 1, 1], [1, 1, 1, 0]],
  [1, [0.1, 0.2, 0.3], [1, 0, 0]],
])('%d examples by %j are %j', (examples, weights, counts) => {
  expect(partsOf(examples, weights).map(({count}) => count)).toEqual(counts);
});

it('parts are adjacent, all of the batch, and as large as their weights', () => {
  const weight = fc.oneof(fc.nat(50), fc.double({min: 0, max: 3, noNaN: true}));
  const weights = fc.array(weight, {minLength: 1, maxLength: 9});
  fc.assert(
    fc.property(fc.integer({min: 1, max: 2000}), weights, (examples, weights) => {
      const total = weights.reduce((sum, one) => sum + one, 0);
      fc.pre(total > 1e-3);
      let end = 0;
      partsOf(examples, weights).forEach(({start, count}, rank) => {
        expect(start).toBe(end);
        expect(count).toBeGreaterThanOrEqual(0);
        expect(Math.abs(count - (examples * weights[rank]) / total)).toBeLessThan(1.01);
        end += count;
      });
      expect(end).toBe(examples);
    }),
  );
});

it('takes the part of each tensor, in arrays and objects', () => {
  const batch = {xs: [tf.tensor1d([1, 2, 3])], ys: tf.tensor2d([[1], [2], [3]])};
  const part = takePart(batch, {start: 1, count: 2});
  expect([...part.xs[0].dataSync()]).toEqual([2, 3]);
  expect(part.ys.arraySync()).toEqual([[2], [3]]);
  expect(takePart(batch, {start: 3, count: 0}).ys.shape).toEqual([3, 1]);
});

it.each([
  ['0', () => tf.zeros([0, 2])],
  ['2 and 3', () => [tf.zeros([2]), tf.zeros([3])]],
  ['0', () => tf.scalar(1)],
  ['no', () => ({})],
])('refuses tensors of %s examples', (counts, batch) => {
  expect(() => countExamples(batch())).toThrow(
    `as many in each of its tensors. Received: tensors of ${counts} examples`,
  );
});
