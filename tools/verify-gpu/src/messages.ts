/** What the processes of a run tell each other. */
import type {Check, Device, StepTimes, WayName} from './report.js';

/** What a process is to do: all the checks of a way, or its timings. */
export interface Job {
  way: WayName;
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
