import {sampleOf} from '@resbatchnorm/tools-common/report';

import type {Direction, Network, NetworkName} from './cases.js';
import type {Accuracy, BackendReport, NormTimes, Ratios} from './report.js';
import type {BackendName} from './requests.js';
import {targetsOf} from './targets.js';

function reportOf(backend: BackendName, parts: Partial<BackendReport>): BackendReport {
  return {
    backend,
    versions: {},
    notes: [],
    failures: [],
    norms: [],
    dispatch: [],
    inference: [],
    steps: [],
    accuracy: [],
    ...parts,
  };
}

function normTimes(
  shape: number[],
  ratios: Ratios,
  direction: Direction = 'forward + backward',
): NormTimes {
  return {shape, direction, samples: {}, ratios};
}

const network: Network = {name: 'ResNet-20', imageShape: [32, 32, 3], batchSize: 64};

const verdicts = (report: BackendReport) =>
  targetsOf([report]).map(({what, target, measured, reached}) => [
    what,
    target,
    measured,
    reached,
  ]);

it('wants 5 times the speed of the built-in of one shape on tensorflow', () => {
  const norms = [
    normTimes([16, 56, 56, 64], {'builtIn / ours': 4.9}),
    normTimes([16, 56, 56, 64], {'builtIn / ours': 3}, 'forward'),
    normTimes([32, 8, 8, 64], {'builtIn / ours': 3}),
  ];
  expect(verdicts(reportOf('tensorflow', {norms}))).toEqual([
    ['tensorflow, 16×56×56×64, forward + backward: builtIn / ours', 5, 4.9, false],
  ]);
});

it('wants of every shape on tensorflow 0.8 of the time of Keras, PyTorch beside it', () => {
  const norms = [
    normTimes([256, 512], {'keras / ours': 1.25}),
    normTimes([32, 8, 8, 64], {'keras / ours': 1.2, 'pytorch / ours': 0.25}),
    normTimes([32, 8, 8, 64], {'keras / ours': 0.5}, 'forward'),
    normTimes([32, 16, 16, 32], {}), // There was no Keras.
  ];
  expect(verdicts(reportOf('tensorflow', {norms}))).toEqual([
    ['tensorflow, 256×512, forward + backward: ours / keras', 0.8, 0.8, true],
    [
      'tensorflow, 32×8×8×64, forward + backward: ours / keras (ours / pytorch: 4)',
      0.8,
      expect.closeTo(1 / 1.2),
      false,
    ],
  ]);
  expect(verdicts(reportOf('wasm', {norms: norms.slice(0, 1)}))).not.toContainEqual(
    expect.arrayContaining([expect.stringContaining('keras')]),
  );
});

it.each([
  ['cpu', [256, 512], 60],
  ['wasm', [32, 32, 32, 16], 12],
  ['chromium-webgl', [256, 512], 4],
  ['chromium-webgpu', [256, 512], 4],
] as const)('wants of %s, %j, to be %d times faster', (backend, shape, target) => {
  const reached = (ratio: number) =>
    targetsOf([
      reportOf(backend, {norms: [normTimes([...shape], {'builtIn / ours': ratio})]}),
    ]).map(t => [t.target, t.reached]);
  expect(reached(target)).toEqual([[target, true]]);
  expect(reached(target * 0.99)).toEqual([[target, false]]);
});

it('wants of training calls to take 1.3 times a multiplication, where the CPU computes', () => {
  const dispatch: BackendReport['dispatch'] = [
    {phase: 'training', samples: {}, ratios: {'ours / multiplication': 1.31}},
    {phase: 'inference', samples: {}, ratios: {'ours / builtIn': 2}},
  ];
  for (const backend of ['tensorflow', 'wasm', 'cpu'] as const) {
    expect(verdicts(reportOf(backend, {dispatch}))).toEqual([
      [`${backend}, training call of 2×4×4×8: ours / multiplication`, 1.3, 1.31, false],
    ]);
  }
  expect(verdicts(reportOf('chromium-webgl', {dispatch}))).toEqual([]);
});

it('wants inference no slower than the built-in, 0.85 of it with the activation', () => {
  const inference: BackendReport['inference'] = [
    {
      network: {name: 'MobileNet style', imageShape: [96, 96, 3], batchSize: 16},
      samples: {},
      parameters: {},
      ratios: {'ours / builtIn': 1, 'ours with activation / builtIn': 0.86},
    },
  ];
  const title = 'inference of MobileNet style, 16 of 96×96×3';
  expect(verdicts(reportOf('chromium-webgpu', {inference}))).toEqual([
    [`chromium-webgpu, ${title}: ours / builtIn`, 1, 1, true],
    [`chromium-webgpu, ${title}: ours with activation / builtIn`, 0.85, 0.86, false],
  ]);
});

it('wants of steps on tensorflow 0.35 of the built-in, and to be as fast as Keras', () => {
  const step = (name: NetworkName, ratios: Ratios) => ({
    network: {...network, name},
    samples: {},
    parameters: {},
    ratios,
  });
  const steps = [
    step('ResNet-20', {'builtIn / ours': 2.5, 'keras / ours': 1}),
    step('ResNet-50 style', {'builtIn / ours': 4}), // There was no Keras.
  ];
  expect(verdicts(reportOf('tensorflow', {steps}))).toEqual([
    ['tensorflow, step of ResNet-20: ours / builtIn', 0.35, 0.4, false],
    ['tensorflow, step of ResNet-20: ours / keras', 1, 1, true],
    ['tensorflow, step of ResNet-50 style: ours / builtIn', 0.35, 0.25, true],
  ]);
  expect(verdicts(reportOf('wasm', {steps}))).toEqual([]);
});

it('wants 0.55 of the bytes', () => {
  const memory = {
    network,
    peaks: {},
    ratios: {'ours / builtIn, numBytes': 0.56, 'ours / builtIn, bufferBytes': 0.4},
  };
  expect(verdicts(reportOf('wasm', {memory}))).toEqual([
    ['wasm, peak numBytes of a step of ResNet-20: ours / builtIn', 0.55, 0.56, false],
  ]);
});

it('wants no more than 3 % of a step for all callbacks', () => {
  const sample = sampleOf([1]);
  const ratios = {'UpdateOpsCheck / step': 0.02, 'all / step': 0.031};
  const callbacks = {network, step: sample, hooks: {}, eventLoop: sample, ratios};
  expect(verdicts(reportOf('wasm', {callbacks}))).toEqual([
    ["wasm, callbacks' overhead on a step of ResNet-20", 0.03, 0.031, false],
  ]);
  ratios['all / step'] = 0.03;
  expect(verdicts(reportOf('wasm', {callbacks}))).toEqual([
    [expect.anything(), 0.03, 0.03, true],
  ]);
});

it('wants the worst error of all shapes and quantities below 2e-6', () => {
  const accuracy: Accuracy[] = [
    {shape: [2, 3], errors: {ours: {y: 1e-8, dx: 3e-7}, builtIn: {y: 1}}},
    {shape: [4, 5], errors: {ours: {y: 2e-7}}},
  ];
  expect(verdicts(reportOf('cpu', {accuracy}))).toEqual([
    ['cpu, largest error to float64: dx of 2×3', 2e-6, 3e-7, true],
  ]);
  accuracy.push({shape: [6, 7], errors: {ours: {y: NaN}}});
  expect(verdicts(reportOf('cpu', {accuracy}))).toEqual([
    ['cpu, largest error to float64: y of 6×7', 2e-6, NaN, false],
  ]);
});
