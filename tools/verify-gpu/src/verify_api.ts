/** Verifies one API to the GPU: its checks first, then its timings. */
import type {Options} from './options.js';
import type {ApiName, ApiReport} from './report.js';
import {type JobResult, runJob} from './run_job.js';

// Nvidia's libraries round the factors of convolutions to 10 bits where the GPU is faster with
// that. The checks compare with the CPU, in float32; the timings are of what users get.
const exactFloat32 = {NVIDIA_TF32_OVERRIDE: '0'};

const keptLogLines = 30;

const apiEnv = {
  // TensorFlow would take all the memory at once, and no growth would be seen. Its log names
  // the device.
  cuda: {TF_FORCE_GPU_ALLOW_GROWTH: 'true', TF_CPP_MIN_LOG_LEVEL: '0'},
  webgpu: {},
};

export async function verifyApi(
  api: ApiName,
  {steps, quick, allowSoftware, timeLimit}: Options,
  onStage: (text: string) => void,
): Promise<ApiReport> {
  const startedAt = performance.now();
  const run = (kind: 'checks' | 'timings', env: NodeJS.ProcessEnv) =>
    runJob(
      {api, kind, steps, quick, allowSoftware},
      {timeLimitMinutes: timeLimit, onStage, env: {...apiEnv[api], ...env}},
    );
  const checked = await run('checks', exactFloat32);
  // A device that was just lost needs no timing.
  const timed = checked.absent || checked.failure ? undefined : await run('timings', {});
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  return {...apiReport(api, checked, timed), seconds};
}

export function apiReport(
  api: ApiName,
  checked: JobResult,
  timed: JobResult | undefined,
): Omit<ApiReport, 'seconds'> {
  const {device, checks, notMeasured, absent} = checked;
  const problem = absent ?? checked.failure ?? timed?.absent ?? timed?.failure;
  const passed = !problem && checks.every(check => check.passed);
  return {
    api,
    outcome: absent ? 'absent' : passed ? 'passed' : 'failed',
    ...(problem && {problem}),
    ...(device && {device: {...device, name: loggedName(checked.log) ?? device.name}}),
    checks,
    notMeasured,
    ...(timed?.stepTimes && {stepTimes: timed.stepTimes}),
    ...(problem && {log: lastLines(checked.log + (timed?.log ?? ''))}),
  };
}

/** The first GPU's name, as TensorFlow logs it when it makes the device. */
function loggedName(log: string): string | undefined {
  return /Created device \S*device:GPU:0 .*?, name: (.+?), pci bus id/.exec(log)?.[1];
}

function lastLines(log: string): string[] {
  return log
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-keptLogLines);
}
