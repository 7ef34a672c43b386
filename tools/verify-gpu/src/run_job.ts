/**
 * Does a job in a process of its own, that may crash or hang, and collects what it sends: the
 * process gets one `Job` and answers with `Message`s.
 */
import {fork} from 'node:child_process';
import {join} from 'node:path';

import {packageDirectory} from '../package_directory.cjs';
import type {ApiName, Check, Device, StepTimes} from './report.js';

/** What a process is to do: all the checks of an API, or its timings. */
export interface Job {
  api: ApiName;
  kind: 'checks' | 'timings';
  steps: number;
  quick: boolean;
  allowSoftware: boolean;
}

/** Sent as soon as it is known, so that little is lost if the process crashes. */
export type Message =
  | {type: 'opened'; device: Device; notMeasured: string[]}
  | {type: 'stage'; text: string}
  | {type: 'checks'; checks: Check[]}
  | {type: 'step times'; stepTimes: StepTimes}
  | {type: 'absent'; reason: string}
  | {type: 'failed'; reason: string}
  | {type: 'done'};

export interface JobResult {
  device?: Device;
  checks: Check[];
  notMeasured: string[];
  stepTimes?: StepTimes;
  /** Why the API cannot be verified here. */
  absent?: string;
  /** What broke the job off. */
  failure?: string;
  /** What the process wrote, TensorFlow's log for one. */
  log: string;
}

export interface JobOptions {
  timeLimitMinutes: number;
  onStage(text: string): void;
  /** Environment variables of the process, over those of this one. */
  env?: NodeJS.ProcessEnv;
  workerFile?: string;
}

const defaultWorker = join(packageDirectory, 'dist', 'worker.js');

/** Never rejects. */
export function runJob(
  job: Job,
  {timeLimitMinutes, onStage, env, workerFile = defaultWorker}: JobOptions,
): Promise<JobResult> {
  return new Promise(resolve => {
    const child = fork(workerFile, {
      silent: true,
      execArgv: [],
      env: {...process.env, ...env},
    });
    const result: JobResult = {checks: [], notMeasured: [], log: ''};
    let stage = 'starting';
    let isDone = false;
    let isOverdue = false;
    const timer = setTimeout(() => {
      isOverdue = true;
      child.kill('SIGKILL');
    }, timeLimitMinutes * 60_000);
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', text => (result.log += text));
    }
    child.on('message', (message: Message) => {
      if (message.type === 'stage') onStage((stage = message.text));
      else isDone = take(message, result) || isDone;
    });
    child.on('error', error => {
      result.failure ??= error.message;
      // If it did not start, nothing else is to come.
      if (child.pid === undefined) resolve(result);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (!isDone && !result.failure) {
        const lastStage = `the last stage was: ${stage}`;
        result.failure = isOverdue
          ? `The time limit of ${timeLimitMinutes} minutes was reached; ${lastStage}.`
          : `The process ended with ${signal ?? `exit code ${code}`}; ${lastStage}.`;
      }
      resolve(result);
    });
    child.send(job);
  });
}

/** Whether the job is at its end. */
function take(message: Exclude<Message, {type: 'stage'}>, result: JobResult): boolean {
  switch (message.type) {
    case 'opened':
      result.device = message.device;
      result.notMeasured.push(...message.notMeasured);
      return false;
    case 'checks':
      result.checks.push(...message.checks);
      return false;
    case 'step times':
      result.stepTimes = message.stepTimes;
      return false;
    case 'absent':
      result.absent = message.reason;
      return true;
    case 'failed':
      result.failure = message.reason;
      return true;
    case 'done':
      return true;
  }
}
