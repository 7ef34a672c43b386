import {atMost, type ApiReport, equalTo} from './report.js';
import {exitCodeOf, exitCodes, reportTable, verdictOf} from './summary.js';

const good = atMost(1, {group: 'g', name: 'n', measured: 0});
const bad = atMost(1, {group: 'g', name: 'n', measured: 2});
const device = {name: 'a device', isSoftware: false, versions: {}};

function reportOf(report: Partial<ApiReport>): ApiReport {
  return {
    api: 'cuda',
    outcome: 'passed',
    device,
    checks: [good, good],
    notMeasured: [],
    seconds: 1,
    ...report,
  };
}

const passed = reportOf({});
const failed = reportOf({outcome: 'failed', checks: [good, bad]});
const crashed = reportOf({outcome: 'failed', problem: 'It crashed.', checks: [good]});
const absent = reportOf({
  api: 'webgpu',
  outcome: 'absent',
  problem: 'No driver.',
  device: undefined,
  checks: [],
});
const software = reportOf({device: {...device, isSoftware: true}});
const failedSoftware = reportOf({...failed, device: software.device});

describe('the exit code', () => {
  it.each([
    ['an API passed', [passed], exitCodes.passed],
    ['an API passed and the other is absent', [passed, absent], exitCodes.passed],
    ['a check failed', [failed], exitCodes.failed],
    ['an API passed and the other crashed', [passed, crashed], exitCodes.failed],
    ['no API is there', [absent, absent], exitCodes.noGpu],
    ['a software device passed', [software, absent], exitCodes.softwareOnly],
    ['one of two devices is software', [passed, software], exitCodes.softwareOnly],
    ['a software device failed', [failedSoftware], exitCodes.failed],
  ])('if %s', (_, apis, expected) => {
    expect(exitCodeOf({apis, verdict: verdictOf(apis)})).toBe(expected);
  });

  it('is 0 in one case only', () => {
    const {passed: zero, ...others} = exitCodes;
    expect(zero).toBe(0);
    expect(Object.values(others)).not.toContain(0);
  });
});

describe('the lines', () => {
  it('tell of each API in one', () => {
    expect(verdictOf([passed, absent]).lines).toEqual([
      'CUDA (tfjs-node-gpu): all 2 checks passed.',
      'WebGPU (Dawn): absent. No driver.',
    ]);
    expect(verdictOf([failed]).lines).toEqual([
      'CUDA (tfjs-node-gpu): failed. 1 of 2 checks failed.',
    ]);
    expect(verdictOf([crashed]).lines).toEqual([
      'CUDA (tfjs-node-gpu): failed. It crashed.',
    ]);
  });

  it('say that no GPU was found', () => {
    expect(verdictOf([absent]).lines.at(-1)).toBe(
      'No GPU was found: nothing was verified.',
    );
  });

  it('say that a software device is not a GPU', () => {
    const {lines, ranOnGpu} = verdictOf([software]);
    expect(ranOnGpu).toBe(false);
    expect(lines[0]).toMatch(/NOT A GPU/);
    expect(lines.at(-1)).toMatch(/not a GPU/);
  });
});

const checks = [
  atMost(1e-5, {group: 'forward', name: '5×3, axis 1', measured: 2e-7}),
  atMost(1e-5, {group: 'forward', name: '7×9, axis 1', measured: 4.25e-7}),
  equalTo(4200, {group: 'update ops', name: '21 layers × 200 steps', measured: 4200}),
];

const report: ApiReport = {
  api: 'cuda',
  outcome: 'passed',
  device: {name: 'Some GPU', isSoftware: false, versions: {TensorFlow: '2.20.0'}},
  checks,
  notMeasured: ['GPU memory: nvidia-smi does not tell it.'],
  stepTimes: {
    model: 'ResNet-20',
    batchSize: 64,
    imageShape: [32, 32, 3],
    rounds: 30,
    milliseconds: {res: 15, builtin: 30, none: 10},
  },
  seconds: 60,
};

/** The cells of each line of the table. */
function rowsOf(...apis: ApiReport[]): string[][] {
  return reportTable({apis, verdict: verdictOf(apis)})
    .split('\n')
    .map(line => line.split('│').map(cell => cell.trim()))
    .map(cells => (cells.length > 1 ? cells.slice(1, -1) : cells));
}

describe('the table', () => {
  it('has a line for each group of checks, with the worst', () => {
    const rows = rowsOf(report);
    expect(rows).toContainEqual([
      'forward',
      '2 of 2',
      '4.3e-7',
      '≤ 1.0e-5',
      '7×9, axis 1',
    ]);
    expect(rows).toContainEqual([
      'update ops',
      '1 of 1',
      '4200',
      '= 4200',
      '21 layers × 200 steps',
    ]);
  });

  it.each([1e-3, NaN])('shows a check that failed with %d', measured => {
    const failed = atMost(1e-5, {group: 'forward', name: 'wrong', measured});
    const rows = rowsOf({...report, outcome: 'failed', checks: [...checks, failed]});
    const row = rows.find(([group]) => group === 'forward')!;
    expect(row[1]).toBe('NO: 2 of 3');
    expect(row[2]).toBe(measured === 1e-3 ? '1.0e-3' : 'NaN');
    expect(row[4]).toBe('wrong');
  });

  it('has the times, and how many times longer than without a norm', () => {
    const rows = rowsOf(report);
    expect(rows).toContainEqual(['ResBatchNorm', '15.0', '1.50']);
    expect(rows).toContainEqual(['tf.layers.batchNormalization', '30.0', '3.00']);
    expect(rows).toContainEqual(['none', '10.0', '1.00']);
  });

  it('names the device, versions and what was not measured', () => {
    const text = rowsOf(report).flat().join('\n');
    expect(text).toContain('CUDA (tfjs-node-gpu): Some GPU, TensorFlow 2.20.0');
    expect(text).toContain('Not measured: GPU memory: nvidia-smi does not tell it.');
    expect(text).not.toContain('NOT A GPU');
  });

  it('marks a software device', () => {
    const device = {...report.device!, isSoftware: true};
    const [[heading]] = rowsOf({...report, device});
    expect(heading).toContain('SOFTWARE, NOT A GPU');
  });

  it('has nothing but lines where no API is there', () => {
    const absent: ApiReport = {
      api: 'webgpu',
      outcome: 'absent',
      problem: 'No driver.',
      checks: [],
      notMeasured: [],
      seconds: 1,
    };
    expect(rowsOf(absent).flat().filter(Boolean)).toEqual([
      'WebGPU (Dawn): absent. No driver.',
      'No GPU was found: nothing was verified.',
    ]);
  });
});
