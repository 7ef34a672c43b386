import {cosineRate} from './learning_rate.js';

it('goes from the largest rate over half of it down towards 0', () => {
  expect(cosineRate(0.1, 0, 100)).toBe(0.1);
  expect(cosineRate(0.1, 50, 100)).toBeCloseTo(0.05, 12);
  expect(cosineRate(0.1, 99, 100)).toBeGreaterThan(0);
  expect(cosineRate(0.1, 99, 100)).toBeLessThan(1e-4);
});
