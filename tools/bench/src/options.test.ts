import {normShapes, quickShapes} from './cases.js';
import {backendNames, parseOptions} from './options.js';

const parse = (line: string) => parseOptions(line.split(' ').filter(Boolean));

it('measures everything by default', () => {
  expect(parse('')).toEqual({
    backend: backendNames,
    shape: normShapes,
    only: [
      'norm',
      'accuracy',
      'dispatch',
      'inference',
      'step',
      'memory',
      'callbacks',
      'distributed',
    ],
    quick: false,
    out: 'out/bench',
    json: false,
  });
});

it('takes every option, some of them several times', () => {
  const line =
    '--backend cpu wasm --backend cpu --shape 32x8x8x64 2×3 --shape 2,3 --only memory ' +
    '--python a b --out dir --json';
  expect(parse(line)).toEqual({
    backend: ['cpu', 'wasm'],
    shape: [
      [32, 8, 8, 64],
      [2, 3],
    ],
    only: ['memory'],
    quick: false,
    python: ['a', 'b'],
    out: 'dir',
    json: true,
  });
});

it('takes fewer shapes and trains no whole networks with --quick', () => {
  expect(parse('--quick')).toMatchObject({
    shape: quickShapes,
    only: ['norm', 'accuracy', 'dispatch', 'inference'],
  });
  expect(parse('--quick --shape 2x3')).toMatchObject({shape: [[2, 3]]});
  expect(parse('--quick --only norm step')).toMatchObject({only: ['norm']});
});

it.each([
  ['--backend webgl', /--backend.*'webgl'.*chromium-webgl/],
  ['--shape 32x8x8', /--shape.*'32x8x8'.*2 or 4 sizes/],
  ['--shape 32x0', /--shape.*'32x0'.*2 or 4 sizes/],
  ['--shape 100000x100000', /--shape.*at most 2\^26 values/],
  ['--only steps', /--only.*'steps'.*step, memory/],
  ['--quick --only step memory', /--quick.*whole networks.*--only step memory/],
  ['--quick --only distributed', /--quick.*whole networks.*--only distributed/],
  ['--quick --only callbacks', /--quick.*whole networks.*--only callbacks/],
  ['--out', /--out.*argument missing/],
  ['--quik', /unknown option '--quik'.*--quick/],
  ['cpu', /unexpected argument 'cpu'/],
])('rejects %s in one line', (line, message) => {
  expect(() => parse(line)).toThrow(message);
  expect(() => parse(line)).toThrow(expect.objectContaining({name: 'UsageError'}));
  expect(() => parse(line)).not.toThrow(/\n/);
});
