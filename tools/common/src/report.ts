/** How tools show and keep what they find: progress, samples of measurements, tables, JSON. */
import type {WriteStream} from 'node:tty';

import Table from 'cli-table3';

const logIntervalMs = 10_000;

/** What is being done: one line that changes, or in a log a line now and then. */
export class Progress {
  private lastLoggedAt = -Infinity;

  constructor(private readonly stream: Pick<WriteStream, 'isTTY' | 'write'>) {}

  show(text: string): void {
    if (this.stream.isTTY) {
      this.stream.write(`\r\x1b[K${text}`);
    } else if (performance.now() - this.lastLoggedAt >= logIntervalMs) {
      this.lastLoggedAt = performance.now();
      this.stream.write(`${text}\n`);
    }
  }

  clear(): void {
    if (this.stream.isTTY) this.stream.write('\r\x1b[K');
  }
}

/** What is kept of repeated measurements. */
export interface Sample {
  median: number;
  lowerQuartile: number;
  upperQuartile: number;
  least: number;
  repetitions: number;
}

export function sampleOf(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    least: sorted[0],
    repetitions: sorted.length,
  };
}

/** Between two values, the point on the line between them. */
function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.ceil(at);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** A table with numbers, on the right of their columns, but for those named. */
export function makeTable(
  head: string[],
  {leftColumns}: {leftColumns: readonly number[]},
): InstanceType<typeof Table> {
  return new Table({
    head,
    colAligns: head.map((_, i) => (leftColumns.includes(i) ? 'left' : 'right')),
    style: {compact: true, border: [], head: []},
  });
}

/** A report as JSON, which has no NaN and no Infinity: they are written as strings. */
export function toJson(report: object): string {
  const text = JSON.stringify(
    report,
    (_, value) =>
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
    2,
  );
  return `${text}\n`;
}
