/** What the parts of a backend's measurement share. */
import type {Peer} from './pythons.js';
import type {BackendReport, Samples} from './report.js';
import type {Channel, Prepared, Task} from './requests.js';
import {type Pace, takeTurns, type TimedContender} from './take_turns.js';

export interface Measurement {
  /** What measures on the backend. */
  channel: Channel;
  /** Other libraries on the same device. */
  peers: readonly Pick<Peer, 'ask' | 'library'>[];
  report: BackendReport;
  quick: boolean;
  onStage(text: string): void;
}

/** A failure is noted, and what comes after it is measured all the same. */
export async function attempt(
  {report, onStage}: Pick<Measurement, 'report' | 'onStage'>,
  what: string,
  act: () => Promise<void>,
): Promise<void> {
  onStage(`${report.backend}: ${what}`);
  try {
    await act();
  } catch (error) {
    report.failures.push(`${what}: ${(error as Error).message.split('\n')[0]}`);
  }
}

export interface Timed {
  samples: Samples;
  parameters: Record<string, number>;
}

/** Times the contenders of the backend and, if it is so wished, of the other libraries. */
export async function timeTask(
  {channel, peers}: Measurement,
  task: Task,
  pace: Pace,
): Promise<Timed> {
  const contenders: TimedContender[] = [];
  const parameters: Record<string, number> = {};
  for (const side of task.kind === 'copy' ? [channel] : [channel, ...peers]) {
    const prepared: Prepared = await side.ask('prepare', task);
    Object.assign(parameters, prepared.parameters);
    for (const name of prepared.contenders) {
      const time = (count: number) => side.ask('time', {contender: name, count});
      contenders.push({name, time});
    }
  }
  return {samples: await takeTurns(contenders, pace), parameters};
}
