import {atMost} from './report.js';
import type {JobResult} from './run_job.js';
import {apiReport} from './verify_api.js';

const good = atMost(1, {group: 'g', name: 'n', measured: 0});
const bad = atMost(1, {group: 'g', name: 'n', measured: 2});
const stepTimes = {
  model: 'ResNet-20',
  batchSize: 64,
  imageShape: [32, 32, 3],
  rounds: 30,
  milliseconds: {res: 15, builtin: 30, none: 10},
};

function result(of: Partial<JobResult>): JobResult {
  const device = {name: 'GPU 0', isSoftware: false, versions: {}};
  return {device, checks: [good], notMeasured: [], log: '', ...of};
}

const timed = result({checks: [], stepTimes});

it('has the checks of one process and the times of the other', () => {
  const report = apiReport('cuda', result({}), timed);
  expect(report.outcome).toBe('passed');
  expect(report.checks).toEqual([good]);
  expect(report.stepTimes).toBe(stepTimes);
  expect(report).not.toHaveProperty('problem');
  expect(report).not.toHaveProperty('log');
});

it.each([
  ['a check failed', result({checks: [good, bad]}), timed],
  ['the checks broke off', result({failure: 'Why.'}), undefined],
  ['the timings broke off', result({}), result({failure: 'Why.'})],
  ['the GPU is gone before the timings', result({}), result({absent: 'Why.'})],
])('has failed if %s', (_, checked, timings) => {
  expect(apiReport('cuda', checked, timings).outcome).toBe('failed');
});

it('is absent if the API is not there', () => {
  const absent = result({absent: 'No driver.', device: undefined, checks: []});
  const report = apiReport('webgpu', absent, undefined);
  expect(report).toMatchObject({outcome: 'absent', problem: 'No driver.'});
});

it('keeps the end of the log if something broke off', () => {
  const log = Array.from({length: 100}, (_, i) => `line ${i}\n`).join('');
  const report = apiReport('cuda', result({failure: 'Why.', log}), undefined);
  expect(report.log).toHaveLength(30);
  expect(report.log!.at(-1)).toBe('line 99');
});

it('takes the name of the GPU from the log of TensorFlow', () => {
  const log =
    'I0000 gpu_device.cc:2020] Created device /job:localhost/replica:0/task:0/device:GPU:0 ' +
    'with 78000 MB memory:  -> device: 0, name: NVIDIA H100 80GB HBM3, pci bus id: ' +
    '0000:00:04.0, compute capability: 9.0\n';
  const {device} = apiReport('cuda', result({log}), timed);
  expect(device!.name).toBe('NVIDIA H100 80GB HBM3');
});
