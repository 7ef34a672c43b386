import {sampleOf} from '@resbatchnorm/tools-common/report';

import type {Network} from './cases.js';
import type {BackendReport, Report} from './report.js';
import {reportTables} from './tables.js';

const network: Network = {name: 'ResNet-20', imageShape: [32, 32, 3], batchSize: 64};

const tensorflow: BackendReport = {
  backend: 'tensorflow',
  device: {kind: 'cpu', name: 'Some processor'},
  versions: {TensorFlow: '2.20.0'},
  usesOneDnn: true,
  notes: ['2 threads'],
  failures: ['8×8, forward: it broke'],
  copy: {bytes: 8, sample: sampleOf([1]), gigabytesPerSecond: 12.345},
  norms: [
    {
      shape: [32, 8, 8, 64],
      direction: 'forward',
      samples: {ours: sampleOf([0.51234]), builtIn: sampleOf([2])},
      ratios: {'builtIn / ours': 3.9, 'composed / ours': 2, 'ours / least': 1.5},
    },
    {
      shape: [32, 8, 8, 64],
      direction: 'forward + backward',
      samples: {ours: sampleOf([1]), builtIn: sampleOf([1234.5])},
      ratios: {
        'builtIn / ours': 1234.5,
        'composed / ours': 4,
        'keras / ours': 1.1,
        'pytorch / ours': 0.25,
        'ours / least': 3,
      },
    },
  ],
  dispatch: [
    {
      phase: 'training',
      samples: {
        ours: sampleOf([0.4]),
        builtIn: sampleOf([5]),
        multiplication: sampleOf([0.2]),
      },
      ratios: {'ours / builtIn': 0.08, 'ours / multiplication': 2},
    },
    {
      phase: 'inference',
      samples: {ours: sampleOf([0.04]), builtIn: sampleOf([0.05])},
      ratios: {'ours / builtIn': 0.8},
    },
  ],
  inference: [
    {
      network: {name: 'MobileNet style', imageShape: [96, 96, 3], batchSize: 16},
      samples: {
        ours: sampleOf([30]),
        'ours with activation': sampleOf([20]),
        builtIn: sampleOf([40]),
        none: sampleOf([15]),
      },
      parameters: {},
      ratios: {
        'ours / builtIn': 0.75,
        'ours with activation / builtIn': 0.5,
        'none / builtIn': 0.375,
      },
    },
  ],
  steps: [
    {
      network,
      samples: {ours: sampleOf([100]), builtIn: sampleOf([250]), none: sampleOf([80])},
      parameters: {},
      ratios: {'builtIn / ours': 2.5, 'none / ours': 0.8, 'keras / ours': 0.9},
    },
  ],
  accuracy: [],
  memory: {
    network,
    peaks: {
      ours: {numBytes: 2 ** 20, bufferBytes: 1},
      builtIn: {numBytes: 2 ** 21, bufferBytes: 1},
    },
    ratios: {'ours / builtIn, numBytes': 0.5, 'ours / builtIn, bufferBytes': 0.6},
  },
  callbacks: {
    network: {name: 'ResNet-8', imageShape: [28, 28, 1], batchSize: 32},
    step: sampleOf([100]),
    hooks: {
      ProgressBar: {
        idleStep: sampleOf([0.5]),
        dueStep: sampleOf([2]),
        epochEnd: sampleOf([3]),
      },
      all: {idleStep: sampleOf([0.51234]), epochEnd: sampleOf([4])},
    },
    eventLoop: sampleOf([0.25]),
    ratios: {'ProgressBar / step': 0.005, 'all / step': 0.0051234},
  },
};

const absent: BackendReport = {
  backend: 'chromium-webgl',
  versions: {},
  absent: 'There is no chromium.',
  notes: [],
  failures: [],
  norms: [],
  dispatch: [],
  inference: [],
  steps: [],
  accuracy: [],
};

/** The cells of each line. */
function rowsOf(report: Partial<Report>): string[][] {
  return reportTables({backends: [], notes: [], targets: [], usesOneDnn: {}, ...report})
    .split('\n')
    .map(line => line.split('│').map(cell => cell.trim()))
    .map(cells => (cells.length > 1 ? cells.slice(1, -1) : cells));
}

it('has a row for each shape and backend, below the direction', () => {
  const rows = rowsOf({backends: [tensorflow, absent]});
  const firsts = rows.map(([first]) => first);
  expect(firsts.indexOf('forward')).toBeLessThan(firsts.indexOf('forward + backward'));
  expect(rows.filter(([, shape]) => shape === '32×8×8×64')).toEqual([
    ['tensorflow', '32×8×8×64', '0.512', '2', '3.9', '2', '', '', '1.5'],
    ['tensorflow', '32×8×8×64', '1', '1235', '1235', '4', '0.909', '4', '3'],
  ]);
});

it('has the small calls in microseconds, and a multiplication beside those in training', () => {
  const rows = rowsOf({backends: [tensorflow, absent]});
  const training = 'training, forward + backward';
  expect(rows).toContainEqual([
    'tensorflow',
    training,
    '400',
    '5000',
    '200',
    '0.08',
    '2',
  ]);
  expect(rows).toContainEqual(['tensorflow', 'inference', '40', '50', '', '0.8', '']);
});

it('has the predictions of networks', () => {
  const rows = rowsOf({backends: [tensorflow, absent]});
  const title = 'MobileNet style, 16 of 96×96×3';
  expect(rows).toContainEqual(
    ['tensorflow', title, '30', '20', '40', '15', '0.75', '0.5'], // one cell a contender
  );
});

it('has the steps of networks, and their memory', () => {
  const rows = rowsOf({backends: [tensorflow]});
  const title = 'ResNet-20, 64 of 32×32×3';
  expect(rows).toContainEqual(
    ['tensorflow', title, '100', '250', '80', '0.4', '1.11', ''], // no PyTorch
  );
  expect(rows).toContainEqual(['tensorflow', title, '1.0', '2.0', '0.5', '0.6']);
});

it('has what the callbacks take beside a step', () => {
  const rows = rowsOf({backends: [tensorflow, absent]});
  const start = rows.findIndex(([, what]) => what?.startsWith('step of'));
  expect(rows.slice(start, start + 4)).toEqual([
    ['tensorflow', 'step of ResNet-8, 32 of 28×28×1', '100', '', '', ''],
    ['tensorflow', 'ProgressBar', '0.5', '0.5', '2', '3'],
    ['tensorflow', 'all', '0.512', '0.512', '', '4'],
    ['tensorflow', 'event loop', '0.25', '', '', ''],
  ]);
});

it('says which targets were reached', () => {
  const rows = rowsOf({
    targets: [
      {what: 'error', relation: '≤', target: 2e-6, measured: 1.23e-7, reached: true},
      {what: 'speed', relation: '≥', target: 5, measured: 4.987, reached: false},
    ],
  });
  expect(rows).toContainEqual(['Targets, 1 of 2 reached:']);
  expect(rows).toContainEqual(['error', '≤ 2.0e-6', '1.2e-7', 'yes']);
  expect(rows).toContainEqual(['speed', '≥ 5', '4.99', 'NO']);
});

it('tells of the device, of failures, and of what is left out, in a line each', () => {
  const lines = rowsOf({
    backends: [tensorflow, absent],
    notes: ['PyTorch is left out: …'],
    usesOneDnn: {Keras: false},
  });
  expect(lines.slice(-5).flat()).toEqual([
    'tensorflow: Some processor, TensorFlow 2.20.0; copies at 12.3 GB/s; oneDNN on; 2 threads',
    'Keras: oneDNN off',
    'FAILED tensorflow: 8×8, forward: it broke',
    'chromium-webgl is left out: There is no chromium.',
    'PyTorch is left out: …',
  ]);
});
