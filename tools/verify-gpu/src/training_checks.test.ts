import {growth} from './training_checks.js';

describe('growth', () => {
  it.each([
    ['constant', [7, 7, 7, 7], 0],
    ['risen at the start', [1, 7, 7, 7], 0],
    ['going up and down', [5, 7, 5, 7, 5], 0],
    ['leaking', [1, 2, 3, 4], 2],
    ['falling', [4, 4, 3, 3], -1],
    ['an odd number of samples', [1, 1, 3], 2],
  ])('%s', (_, samples, expected) => {
    expect(growth(samples)).toBe(expected);
  });

  it('is NaN without enough samples to tell', () => {
    expect(growth([])).toBeNaN();
    expect(growth([1])).not.toBeLessThanOrEqual(0);
  });
});
