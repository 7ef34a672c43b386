import {atMost, equalTo} from './report.js';

const what = {group: 'g', name: 'n'};

it.each([
  [0.5, true],
  [1, true],
  [1.5, false],
  [NaN, false],
  [Infinity, false],
])('%d passing a limit of at most 1: %s', (measured, passed) => {
  expect(atMost(1, {...what, measured})).toEqual({
    ...what,
    measured,
    relation: '≤',
    limit: 1,
    passed,
  });
});

it.each([
  [3, true],
  [2, false],
  [4, false],
  [NaN, false],
])('%d being equal to 3: %s', (measured, passed) => {
  expect(equalTo(3, {...what, measured}).passed).toBe(passed);
});
