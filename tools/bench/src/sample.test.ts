import {sampleOf} from './sample.js';

it('has the median and the quartiles of values in any order', () => {
  expect(sampleOf([5, 1, 4, 2, 3])).toEqual({
    median: 3,
    lowerQuartile: 2,
    upperQuartile: 4,
    least: 1,
    repetitions: 5,
  });
});

it('goes between two values', () => {
  const {median, lowerQuartile, upperQuartile} = sampleOf([1, 2, 10, 20]);
  expect([lowerQuartile, median, upperQuartile]).toEqual([1.75, 6, 12.5]);
});
