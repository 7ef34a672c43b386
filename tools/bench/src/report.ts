/** What a run finds, as it is written to the report. */
import type {BackendName, Device} from './backends.js';
import type {CallbackSamples, Direction, Errors, Network, Peak} from './requests.js';
import type {Sample} from './sample.js';
import type {Target} from './targets.js';

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

export interface BackendReport {
  backend: BackendName;
  device?: Device;
  versions: Record<string, string>;
  /** Why nothing was measured; one line. */
  absent?: string;
  /** What must be known to read the numbers; what was left out, and why. */
  notes: string[];
  /** What broke off. */
  failures: string[];
  copy?: Copy;
  norms: NormTimes[];
  steps: StepTimes[];
  accuracy: Accuracy[];
  memory?: Memory;
  callbacks?: CallbackTimes;
}

export interface Report {
  date: string;
  machine: Record<string, string | number>;
  versions: Record<string, string>;
  options: object;
  backends: BackendReport[];
  /** What other libraries were left out, and why. */
  notes: string[];
  targets: Target[];
}

/** The report as JSON, which has no NaN and no Infinity: they are written as strings. */
export function toJson(report: Report): string {
  const text = JSON.stringify(
    report,
    (_, value) =>
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
    2,
  );
  return `${text}\n`;
}
