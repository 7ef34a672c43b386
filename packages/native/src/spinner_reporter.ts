import ora from 'ora';

import type {Reporter} from './reporter.js';

/** Shows the steps as lines with a mark, and the current one with the seconds it takes. */
export class SpinnerReporter implements Reporter {
  private readonly spinner = ora();
  private text = '';
  private startedAt = 0;
  private timer?: NodeJS.Timeout;

  start(text: string): void {
    this.stopTimer();
    this.text = text;
    this.startedAt = Date.now();
    this.spinner.start(text);
    if (this.spinner.isSpinning && process.stderr.isTTY) {
      this.timer = setInterval(() => this.showSeconds(), 1000);
    }
  }

  update(text: string): void {
    this.text = text;
    this.showSeconds();
  }

  done(text: string): void {
    this.stopTimer();
    this.spinner.succeed(text);
  }

  warn(text: string): void {
    this.stopTimer();
    this.spinner.warn(text);
  }

  /** Ends the step that is under way, if any, as failed. */
  fail(): void {
    this.stopTimer();
    if (this.spinner.isSpinning) this.spinner.fail(this.text);
  }

  private showSeconds(): void {
    const seconds = Math.round((Date.now() - this.startedAt) / 1000);
    this.spinner.text = seconds > 2 ? `${this.text} (${seconds} s)` : this.text;
  }

  private stopTimer(): void {
    clearInterval(this.timer);
  }
}
