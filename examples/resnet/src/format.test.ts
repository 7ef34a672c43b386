import {duration, integer, percent} from './format.js';

it('writes numbers for people', () => {
  expect(integer(1234567.4)).toBe('1,234,567');
  expect(percent(0.98765)).toBe('98.77 %');
  expect([0, 59.6, 83.4, 3725].map(duration)).toEqual([
    '0:00',
    '1:00',
    '1:23',
    '1:02:05',
  ]);
});
