import {join} from 'node:path';

import {packageDirectory} from '../package_directory.cjs';
import {type Job, runJob} from './run_job.js';

/** Runs a worker that ends in that way. */
function run(ending: string, {timeLimitMinutes = 1, env = {}} = {}) {
  const stages: string[] = [];
  const result = runJob({api: ending} as unknown as Job, {
    timeLimitMinutes,
    env,
    onStage: text => stages.push(text),
    workerFile: join(packageDirectory, 'test', 'worker.mjs'),
  });
  return {result, stages};
}

describe('runJob', () => {
  it('collects what the process sends and writes', async () => {
    const {result, stages} = run('done');
    const {checks, device, notMeasured, failure, absent, log} = await result;
    expect(checks).toHaveLength(1);
    expect(device!.name).toBe('a device');
    expect(notMeasured).toEqual(['memory']);
    expect(stages).toEqual(['checking']);
    expect(log).toMatch(/written to stdout/);
    expect(log).toMatch(/written to stderr/);
    expect([failure, absent]).toEqual([undefined, undefined]);
  });

  it.each([
    ['exits', 'The process ended with exit code 7; the last stage was: checking.'],
    ['is killed', 'The process ended with SIGSEGV; the last stage was: checking.'],
    ['fails', 'A reason.'],
  ])('tells why the process %s, and keeps what it had sent', async (ending, failure) => {
    const result = await run(ending).result;
    expect(result.failure).toBe(failure);
    expect(result.checks).toHaveLength(1);
  });

  it('does not mind what comes after the last message', async () => {
    const {failure} = await run('done, and crashes after that').result;
    expect(failure).toBeUndefined();
  });

  it('tells an absent GPU from a failure', async () => {
    const {absent, failure} = await run('is absent').result;
    expect([absent, failure]).toEqual(['No GPU.', undefined]);
  });

  it('ends a process that hangs', async () => {
    const {failure} = await run('hangs', {timeLimitMinutes: 1 / 60}).result;
    expect(failure).toMatch(/^The time limit of .* minutes was reached/);
  });
});
