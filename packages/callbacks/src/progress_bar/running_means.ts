import type {FitLogs} from '../fit_callback.js';

/** Means of the quantities in the logs of steps, weighted by the examples in each step. */
export class RunningMeans {
  private examples = 0;
  private means: Record<string, number> = {};

  /** Reads the logs of a step back from the device. */
  async add(logs: FitLogs): Promise<void> {
    const size = await valueOf(logs.size ?? 1);
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

/** The quantities in the logs of a step or an epoch: all but how large the step was. */
export async function readLogs(logs: FitLogs): Promise<Record<string, number>> {
  const names = Object.keys(logs).filter(name => name !== 'batch' && name !== 'size');
  const values = await Promise.all(names.map(name => valueOf(logs[name])));
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

async function valueOf(log: FitLogs[string]): Promise<number> {
  return typeof log === 'number' ? log : (await log.data())[0];
}
