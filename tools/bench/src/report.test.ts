import {sampleOf} from '@resbatchnorm/tools-common/report';

import {
  callbackRatios,
  copyOf,
  leastMs,
  normRatios,
  peakRatios,
  ratiosTo,
  toOurs,
} from './report.js';

const samples = {
  ours: sampleOf([2, 2, 3]),
  builtIn: sampleOf([20]),
  keras: sampleOf([1]),
};

it('compares medians with ours', () => {
  expect(toOurs(samples)).toEqual({'builtIn / ours': 10, 'keras / ours': 0.5});
});

it('compares medians with any of them', () => {
  expect(ratiosTo('keras', samples)).toEqual({'ours / keras': 2, 'builtIn / keras': 20});
});

it('has none without ours', () => {
  expect(toOurs({copy: sampleOf([1])})).toEqual({});
});

it('counts what a copy reads and what it writes', () => {
  // 4 MB read and 4 MB written in 2 ms.
  expect(copyOf(1e6, sampleOf([2])).gigabytesPerSecond).toBeCloseTo(4);
});

it('has the least time by traffic: 3 tensors forward, 5 more backward', () => {
  const copy = copyOf(1e6, sampleOf([2]));
  expect(leastMs([1000, 1000], 'forward', copy)).toBeCloseTo(3);
  expect(leastMs([1000, 1000], 'forward + backward', copy)).toBeCloseTo(8);
});

it('compares ours with the least time only where that was measured', () => {
  expect(normRatios(samples, 0.5)).toMatchObject({'ours / least': 4});
  expect(normRatios(samples, undefined)).not.toHaveProperty(['ours / least']);
});

it('compares peaks of memory', () => {
  const peaks = {
    ours: {numBytes: 50, bufferBytes: 30},
    builtIn: {numBytes: 100, bufferBytes: 90},
  };
  expect(peakRatios(peaks)).toEqual({
    'ours / builtIn, numBytes': 0.5,
    'ours / builtIn, bufferBytes': 30 / 90,
  });
});

it('compares the hooks of callbacks with a step', () => {
  const hooks = {
    ProgressBar: {
      idleStep: sampleOf([1]),
      dueStep: sampleOf([9]),
      epochEnd: sampleOf([9]),
    },
    all: {idleStep: sampleOf([3]), epochEnd: sampleOf([9])},
  };
  const [step, eventLoop] = [sampleOf([100]), sampleOf([9])];
  expect(callbackRatios({step, hooks, eventLoop})).toEqual({
    'ProgressBar / step': 0.01,
    'all / step': 0.03,
  });
});
