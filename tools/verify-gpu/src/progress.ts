/** What is being done: one line that changes, or in a log a line now and then. */
import type {WriteStream} from 'node:tty';

const logIntervalMs = 10_000;

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
