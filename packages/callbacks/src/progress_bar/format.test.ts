import {bar, duration, integer, quantity} from './format';

test('integer', () => expect(integer(12345.4)).toBe('12,345'));

test.each([
  [0.4, '0:00'],
  [83.4, '1:23'],
  [3725, '1:02:05'],
  [Infinity, '?:??'],
])('duration of %d s', (seconds, text) => expect(duration(seconds)).toBe(text));

test.each([
  [0, '0.0000'],
  [0.123456, '0.1235'],
  [1.2e-7, '1.20e-7'],
  [NaN, 'NaN'],
])('quantity %d', (value, text) => expect(quantity(value)).toBe(text));

test('bar', () => {
  expect(bar(0.5)).toBe('██████████░░░░░░░░░░');
  expect(bar(1.2)).toBe('████████████████████');
});
