/** What a run finds, as it is written to the report. */
import type {NormName} from '@resbatchnorm/resnet';

/** The ways to reach a GPU. */
export const apiNames = ['cuda', 'webgpu'] as const;
export type ApiName = (typeof apiNames)[number];

/** What an API is called in the table. */
export const apiTitles: Record<ApiName, string> = {
  cuda: 'CUDA (tfjs-node-gpu)',
  webgpu: 'WebGPU (Dawn)',
};

/** One thing that was measured, and what it had to be. */
export interface Check {
  /** Checks of one group make one line of the table. */
  group: string;
  name: string;
  measured: number;
  relation: '≤' | '=';
  limit: number;
  unit?: string;
  passed: boolean;
}

/** Where the ops ran. */
export interface Device {
  name: string;
  /** Whether it is a processor that stands in for a GPU. */
  isSoftware: boolean;
  /** Of what lies between TensorFlow.js and the device. */
  versions: Record<string, string>;
}

/** Medians of the time of one training step of a ResNet-20. */
export interface StepTimes {
  model: string;
  batchSize: number;
  imageShape: number[];
  rounds: number;
  milliseconds: Record<NormName, number>;
}

export type ApiOutcome = 'passed' | 'failed' | 'absent';

export interface ApiReport {
  api: ApiName;
  outcome: ApiOutcome;
  /** Why it is absent, or what broke off the run; one line. */
  problem?: string;
  device?: Device;
  checks: Check[];
  /** What could not be measured here, and why. */
  notMeasured: string[];
  stepTimes?: StepTimes;
  /** The last lines that the processes wrote, where there is a problem. */
  log?: string[];
  seconds: number;
}

export interface Report {
  date: string;
  options: {api: ApiName | 'all'; steps: number; quick: boolean; allowSoftware: boolean};
  versions: Record<string, string>;
  verdict: {passed: boolean; ranOnGpu: boolean; lines: string[]};
  apis: ApiReport[];
}

export function atMost(
  limit: number,
  {measured, ...what}: Pick<Check, 'group' | 'name' | 'measured' | 'unit'>,
): Check {
  // NaN is not at most anything.
  return {...what, measured, relation: '≤', limit, passed: measured <= limit};
}

export function equalTo(
  limit: number,
  {measured, ...what}: Pick<Check, 'group' | 'name' | 'measured' | 'unit'>,
): Check {
  return {...what, measured, relation: '=', limit, passed: measured === limit};
}
