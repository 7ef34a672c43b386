/** The callback that shows how far a training is. */
import * as tf from '@tensorflow/tfjs-core';

import {argumentError, checkArguments} from '../arguments.js';
import {counted, integer} from '../counted.js';
import {FitCallback, logValue, readLogs, type FitLogs} from '../fit_callback.js';
import {bar, duration, quantity} from './format.js';

/** A part of Node's streams; `isTTY` says that it is a terminal, `columns` how wide. */
export interface OutputStream {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface ProgressBarArgs {
  /** Where to write. Default: the standard output; in a browser the console. */
  stream?: OutputStream;
  /** Where the stream is not a terminal: seconds between lines within an epoch. Default 30. */
  lineEverySeconds?: number;
}

/** How often logs are read back from the device at most, and a terminal's bar is drawn. */
const READ_MS = 100;

/** What `fit` and `fitDataset` tell callbacks of the training; null where they don't know. */
interface TrainingParams {
  epochs?: number;
  steps?: number | null;
  samples?: number | null;
}

/**
 * Shows epoch, progress, loss and metrics, examples a second and the time left of `fit` and
 * `fitDataset`. A terminal gets one line for each epoch that is drawn again up to ten times a
 * second; a file, a pipe or a browser's console gets a plain line at the end of each epoch and
 * every 30 seconds.
 *
 *     await model.fit(x, y, {verbose: 0, callbacks: [new ProgressBar()]});
 *
 * Within an epoch the numbers are means over those of its steps that were read back, one in
 * 100 ms at most. At the end of an epoch they are those of `fit`, validation included.
 *
 * Where the number of steps is not known, as of a dataset without `batchesPerEpoch`, there is
 * no time left in the first epoch. Nothing is hidden or changed in the terminal, and no timer
 * runs: a training may end in any way.
 */
export class ProgressBar extends FitCallback {
  static override readonly className = 'ProgressBar';
  override readonly onChiefOnly = true;

  private readonly stream: OutputStream;
  private readonly lineEveryMs: number;

  private epoch = 0;
  private examplesInEpoch = 0;
  private examplesInRun = 0;
  /** Learnt from the first epoch where `fit` does not know. */
  private examplesPerEpoch: number | null = null;
  private means = new RunningMeans();
  private startedAt = 0;
  private readAt = 0;
  private writtenAt = 0;
  /** Whether the terminal's last line is a bar, without a line break. */
  private isOpen = false;

  /** @throws ValueError if an argument is unknown or wrong. */
  constructor(args: ProgressBarArgs = {}) {
    super();
    checkArguments('ProgressBar', args, ['stream', 'lineEverySeconds']);
    const {stream = standardOutput(), lineEverySeconds = 30} = args;
    if (typeof stream?.write !== 'function') {
      throw argumentError('ProgressBar', 'stream', 'an object with write(text)', stream);
    }
    if (!(lineEverySeconds > 0)) {
      const expected = 'a number of seconds above 0';
      throw argumentError('ProgressBar', 'lineEverySeconds', expected, lineEverySeconds);
    }
    this.stream = stream;
    this.lineEveryMs = 1000 * lineEverySeconds;
  }

  /** Ends the bar's line, for what is to be written next. The next step begins a new one. */
  close(): void {
    if (this.isOpen) this.stream.write('\n');
    this.isOpen = false;
  }

  protected override trainBegin(): void {
    this.startedAt = this.readAt = this.writtenAt = tf.util.now();
    this.examplesInRun = 0;
    this.examplesPerEpoch = (this.params as TrainingParams).samples ?? null;
  }

  protected override epochBegin(epoch: number): void {
    this.epoch = epoch;
    this.examplesInEpoch = 0;
    this.means = new RunningMeans();
  }

  protected override async stepEnd(_step: number, logs: FitLogs): Promise<void> {
    const size = Number(logs.size ?? 1);
    // In an epoch that was resumed, the batches before this one were as large.
    if (this.examplesInEpoch === 0)
      this.examplesInEpoch = size * (this.position.stepInEpoch - 1);
    this.examplesInEpoch += size;
    this.examplesInRun += size;
    const now = tf.util.now();
    if (now - this.readAt < READ_MS) return;
    this.readAt = now;
    await this.means.add(logs);
    const isDue = this.stream.isTTY || now - this.writtenAt >= this.lineEveryMs;
    if (isDue) this.write(this.means.get());
  }

  protected override async epochEnd(
    _epoch: number,
    logs: FitLogs,
    isCutShort: boolean,
  ): Promise<void> {
    // An epoch that was resumed after its last step has none here.
    if (!isCutShort)
      this.examplesPerEpoch = Math.max(this.examplesPerEpoch ?? 0, this.examplesInEpoch);
    this.write(await readLogs(logs));
    this.close();
  }

  private write(quantities: Record<string, number>): void {
    this.writtenAt = tf.util.now();
    const {isTTY, columns = 80} = this.stream;
    if (!isTTY) {
      this.stream.write(`${this.line(quantities)}\n`);
      return;
    }
    // A line that wraps would not be drawn over.
    const line = this.line(quantities).slice(0, columns - 1);
    const eraseRest = '\x1b[K';
    this.stream.write(`\r${line}${eraseRest}`);
    this.isOpen = true;
  }

  private line(quantities: Record<string, number>): string {
    const {epochs} = this.params as TrainingParams;
    const fraction = this.fraction();
    return [
      `epoch ${this.epoch + 1}/${epochs}`,
      ...(this.stream.isTTY && fraction !== null ? [bar(fraction)] : [this.count()]),
      ...Object.entries(quantities).map(([name, value]) => `${name} ${quantity(value)}`),
      ...this.speed(),
    ].join('  ');
  }

  /** Of the epoch; null if not known. */
  private fraction(): number | null {
    const {steps} = this.params as TrainingParams;
    if (steps) return this.position.stepInEpoch / steps;
    return this.examplesPerEpoch ? this.examplesInEpoch / this.examplesPerEpoch : null;
  }

  private count(): string {
    const total = this.examplesPerEpoch;
    const seen = this.examplesInEpoch;
    if (total !== null) return `${integer(seen)}/${integer(total)}`;
    const {steps} = this.params as TrainingParams;
    const {stepInEpoch} = this.position;
    if (steps) return `step ${integer(stepInEpoch)}/${integer(steps)}`;
    return counted(seen, 'example');
  }

  private speed(): string[] {
    const perSecond = (1000 * this.examplesInRun) / (tf.util.now() - this.startedAt);
    const rate = perSecond < 10 ? perSecond.toFixed(1) : integer(perSecond);
    const fraction = this.fraction();
    if (!fraction) return [`${rate} examples/s`];
    const {epochs = 1} = this.params as TrainingParams;
    const epochsLeft = epochs - this.epoch - fraction;
    const left = (epochsLeft * this.examplesInEpoch) / fraction / perSecond;
    return [`${rate} examples/s`, `${duration(left)} left`];
  }
}

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

// Node's types do not know that it may be missing.
declare const process: {stdout?: OutputStream} | undefined;

/** The program's standard output; in a browser its console, which takes whole lines. */
function standardOutput(): OutputStream {
  const stdout = typeof process === 'undefined' ? undefined : process.stdout;
  return stdout ?? {write: text => console.log(text.trimEnd())};
}
