import {parseOptions} from './options.js';

const parse = (line: string) => parseOptions(line.split(' ').filter(Boolean));

it('verifies every API, in full, by default', () => {
  expect(parse('')).toEqual({
    api: 'all',
    steps: 200,
    quick: false,
    out: 'out/verify_gpu.json',
    allowSoftware: false,
    timeLimit: 20,
  });
});

it('takes fewer steps with --quick, unless told how many', () => {
  expect(parse('--quick')!.steps).toBe(20);
  expect(parse('--quick --steps 50')!.steps).toBe(50);
});

it('takes every option', () => {
  const line = '--api cuda --steps 10 --out r.json --allow-software --time-limit 0.5';
  expect(parse(line)).toEqual({
    api: 'cuda',
    steps: 10,
    quick: false,
    out: 'r.json',
    allowSoftware: true,
    timeLimit: 0.5,
  });
});

it.each([
  ['--api gpu', /--api.*'gpu'.*cuda, webgpu, all/],
  ['--steps 9', /--steps.*'9'.*whole number from 10/],
  ['--steps 1e3', /--steps.*'1e3'.*whole number/],
  ['--time-limit 0', /--time-limit.*'0'.*above 0/],
  ['--time-limit soon', /--time-limit.*'soon'.*above 0/],
  ['--out', /--out.*argument missing/],
  ['--quik', /unknown option '--quik'.*--quick/],
  ['cuda', /unexpected argument 'cuda'/],
])('rejects %s in one line', (line, message) => {
  expect(() => parse(line)).toThrow(message);
  expect(() => parse(line)).toThrow(expect.objectContaining({name: 'UsageError'}));
  expect(() => parse(line)).not.toThrow(/\n/);
});
