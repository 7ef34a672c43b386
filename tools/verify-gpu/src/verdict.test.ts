import {atMost, type WayReport} from './report.js';
import {exitCodeOf, exitCodes, verdictOf} from './verdict.js';

const good = atMost(1, {group: 'g', name: 'n', measured: 0});
const bad = atMost(1, {group: 'g', name: 'n', measured: 2});
const device = {name: 'a device', isSoftware: false, versions: {}};

function way(report: Partial<WayReport>): WayReport {
  return {
    way: 'cuda',
    outcome: 'passed',
    device,
    checks: [good, good],
    notMeasured: [],
    seconds: 1,
    ...report,
  };
}

const passed = way({});
const failed = way({outcome: 'failed', checks: [good, bad]});
const crashed = way({outcome: 'failed', problem: 'It crashed.', checks: [good]});
const absent = way({
  way: 'webgpu',
  outcome: 'absent',
  problem: 'No driver.',
  device: undefined,
  checks: [],
});
const software = way({device: {...device, isSoftware: true}});
const failedSoftware = way({...failed, device: software.device});

describe('the exit code', () => {
  it.each([
    ['a way passed', [passed], exitCodes.passed],
    ['a way passed and the other is absent', [passed, absent], exitCodes.passed],
    ['a check failed', [failed], exitCodes.failed],
    ['a way passed and the other crashed', [passed, crashed], exitCodes.failed],
    ['no way is there', [absent, absent], exitCodes.noGpu],
    ['a software device passed', [software, absent], exitCodes.softwareOnly],
    ['one of two devices is software', [passed, software], exitCodes.softwareOnly],
    ['a software device failed', [failedSoftware], exitCodes.failed],
  ])('if %s', (_, ways, expected) => {
    expect(exitCodeOf({ways, verdict: verdictOf(ways)})).toBe(expected);
  });

  it('is 0 in one case only', () => {
    const {passed: zero, ...others} = exitCodes;
    expect(zero).toBe(0);
    expect(Object.values(others)).not.toContain(0);
  });
});

describe('the lines', () => {
  it('tell of each way in one', () => {
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

  it('say that a software device is no GPU', () => {
    const {lines, ranOnGpu} = verdictOf([software]);
    expect(ranOnGpu).toBe(false);
    expect(lines[0]).toMatch(/NOT A GPU/);
    expect(lines.at(-1)).toMatch(/not a GPU/);
  });
});
