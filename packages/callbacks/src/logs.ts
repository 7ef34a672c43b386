/** The numbers in the logs of a step or an epoch. */
import type {FitLogs} from './fit_callback.js';

/** What `fit` puts into the logs of a step beside the loss and the metrics. */
const NO_METRICS = ['batch', 'size'];

/** The loss and the metrics, read back from the device. */
export async function readLogs(logs: FitLogs): Promise<Record<string, number>> {
  const names = Object.keys(logs).filter(name => !NO_METRICS.includes(name));
  const values = await Promise.all(names.map(name => logValue(logs[name])));
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

export async function logValue(log: FitLogs[string]): Promise<number> {
  return typeof log === 'number' ? log : (await log.data())[0];
}
