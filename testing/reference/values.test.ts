import {largestError} from './values.js';

describe('largestError', () => {
  it('is relative to the largest value expected', () => {
    expect(largestError([1, -4.5, 0], [1, -4, 0])).toBe(0.125);
    expect(largestError([1, 2], [1, 2])).toBe(0);
  });

  it.each([
    ['of another length', [1], [1, 1]],
    ['that are NaN', [NaN, 2, 3], [1, 2, 3]],
    ['against NaN', [1, 2, 3], [1, NaN, 3]],
    ['that are infinite', [Infinity, 1], [Infinity, 1]],
  ])('is NaN for values %s', (_, actual, expected) => {
    expect(largestError(actual, expected)).toBeNaN();
  });
});
