import type {FitLogs} from '../fit_callback.js';
import {logValue, readLogs} from '../logs.js';

/** Means of the quantities in the logs of steps, weighted by the examples in each step. */
export class RunningMeans {
  private examples = 0;
  private means: Record<string, number> = {};

  /** Reads the logs of a step back from the device. */
  async add(logs: FitLogs): Promise<void> {
    const size = await logValue(logs.size ?? 1);
    this.examples += size;
    for (const [name, value] of Object.entries(await readLogs(logs))) {
      const mean = this.means[name] ?? 0;
      this.means[name] = mean + ((value - mean) * size) / this.examples;
    }
  }

  get(): Record<string, number> {
    return {...this.means};
  }
}
