/** What a run finds, as it is written to the report, and what its medians come to. */
import type {Device} from '@resbatchnorm/tools-common/device';
import type {Sample} from '@resbatchnorm/tools-common/report';

import type {Direction, InferenceNetwork, Network, Phase} from './cases.js';
import type {BackendName, CallbackSamples, Errors, Peak} from './requests.js';

/** Times in milliseconds, by contender. */
export type Samples = Record<string, Sample>;

/** One contender's time over another's. */
export type Ratios = Record<string, number>;

export interface NormTimes {
  shape: readonly number[];
  direction: Direction;
  samples: Samples;
  /** By the traffic to memory, from the copy bandwidth; absent if that was not measured. */
  leastMs?: number;
  ratios: Ratios;
}

export interface StepTimes {
  network: Network;
  samples: Samples;
  /** Weights of each contender. */
  parameters: Record<string, number>;
  ratios: Ratios;
}

export interface DispatchTimes {
  phase: Phase;
  samples: Samples;
  ratios: Ratios;
}

export interface InferenceTimes {
  network: InferenceNetwork;
  samples: Samples;
  /** Weights of each contender. */
  parameters: Record<string, number>;
  ratios: Ratios;
}

export interface Copy {
  /** Read and written by one copy. */
  bytes: number;
  sample: Sample;
  /** 1e9 bytes a second, reads and writes both counted. */
  gigabytesPerSecond: number;
}

export interface Accuracy {
  shape: readonly number[];
  /** By contender. */
  errors: Record<string, Errors>;
}

export interface Memory {
  network: Network;
  /** By contender. */
  peaks: Record<string, Peak>;
  ratios: Ratios;
}

export interface CallbackTimes extends CallbackSamples {
  network: Network;
  /** Of a step on which nothing is due: `UpdateOpsCheck / step`, …, `all / step`. */
  ratios: Ratios;
}

export interface DistributedReport {
  /** `OpenMPI 5.0.11` */
  engine: string;
  efficiencies: Efficiency[];
  /** Between two replicas. */
  collectives: {call: 'gather' | 'sum'; values: number; sample: Sample}[];
}

export interface Efficiency {
  /** Its batch is that of one replica. */
  network: Network;
  replicas: number;
  /** A step of all together, and one of each for itself at the same time. */
  samples: Record<'joined' | 'independent', Sample>;
  /** independent / joined */
  efficiency: number;
}

export interface BackendReport {
  backend: BackendName;
  device?: Device;
  versions: Record<string, string>;
  /** Whether oneDNN was on; absent where there is none. */
  usesOneDnn?: boolean;
  /** Why nothing was measured; one line. */
  absent?: string;
  /** What must be known to read the numbers; what was left out, and why. */
  notes: string[];
  /** What broke off. */
  failures: string[];
  copy?: Copy;
  norms: NormTimes[];
  dispatch: DispatchTimes[];
  inference: InferenceTimes[];
  steps: StepTimes[];
  accuracy: Accuracy[];
  memory?: Memory;
  callbacks?: CallbackTimes;
  distributed?: DistributedReport;
}

/** What has to be reached, and whether it was. */
export interface Target {
  what: string;
  relation: '≥' | '≤';
  target: number;
  measured: number;
  reached: boolean;
}

export interface Report {
  date: string;
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  /** Whether oneDNN was on in other libraries that can do without it. */
  usesOneDnn: Record<string, boolean>;
  options: object;
  backends: BackendReport[];
  /** What other libraries were left out, and why. */
  notes: string[];
  targets: Target[];
}

const bytesPerValue = 4;

/**
 * Tensors of the size of x that a norm reads and writes at least. Forward it reads x twice, for
 * the statistics and to normalize, and writes y; backward it reads x and dy twice and writes dx.
 */
const leastTensors: Record<Direction, number> = {
  forward: 3,
  'forward + backward': 3 + 5,
};

export function copyOf(values: number, sample: Sample): Copy {
  const bytes = 2 * values * bytesPerValue;
  return {bytes, sample, gigabytesPerSecond: bytes / sample.median / 1e6};
}

/** Milliseconds that the traffic to memory takes at the bandwidth of a copy. */
export function leastMs(
  shape: readonly number[],
  direction: Direction,
  {gigabytesPerSecond}: Copy,
): number {
  const bytes = shape.reduce((a, b) => a * b, bytesPerValue) * leastTensors[direction];
  return bytes / gigabytesPerSecond / 1e6;
}

/** How many times as long as ResBatchNorm each of the others takes: `builtIn / ours`, … */
export function toOurs(samples: Samples): Ratios {
  return ratiosTo('ours', samples);
}

/** How many times as long as one of them, if it is there, each of the others takes. */
export function ratiosTo(name: string, samples: Samples): Ratios {
  const {[name]: reference, ...others} = samples;
  if (!reference) return {};
  return Object.fromEntries(
    Object.entries(others).map(([other, {median}]) => [
      `${other} / ${name}`,
      median / reference.median,
    ]),
  );
}

export function normRatios(samples: Samples, least: number | undefined): Ratios {
  const {ours} = samples;
  return {
    ...toOurs(samples),
    ...(ours && least !== undefined && {'ours / least': ours.median / least}),
  };
}

export function peakRatios(peaks: Record<string, Peak>): Ratios {
  const {ours, builtIn} = peaks;
  return {
    'ours / builtIn, numBytes': ours.numBytes / builtIn.numBytes,
    'ours / builtIn, bufferBytes': ours.bufferBytes / builtIn.bufferBytes,
  };
}

/** Three significant digits, and all those before the point: 1234, 12.3, 0.0123. */
export function threeDigits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** Which part of a step each callback adds to it, when nothing is due. */
export function callbackRatios({step, hooks}: CallbackSamples): Ratios {
  return Object.fromEntries(
    Object.entries(hooks).map(([name, {idleStep}]) => [
      `${name} / step`,
      idleStep.median / step.median,
    ]),
  );
}
