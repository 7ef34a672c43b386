import {atMost, equalTo, type Report, toJson} from './report.js';

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

it('writes what JSON has no number for as a string', () => {
  const checks = [NaN, -Infinity, 0.5].map(measured => atMost(1, {...what, measured}));
  const report = {ways: [{checks}]} as unknown as Report;
  const parsed = JSON.parse(toJson(report));
  expect(
    parsed.ways[0].checks.map((check: {measured: unknown}) => check.measured),
  ).toEqual(['NaN', '-Infinity', 0.5]);
});
