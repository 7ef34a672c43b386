import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {SingleBar} from 'cli-progress';

import {duration, integer, percent} from './format.js';
import {logValue} from './log_value.js';

export interface ProgressArgs {
  epochs: number;
  imagesPerEpoch: number;
  /** A terminal gets a bar for each epoch; a file or pipe gets plain lines. */
  stream: NodeJS.WriteStream;
}

/** Where there is no bar, a line is written at the end of an epoch and this often in it. */
const lineEveryMs = 30_000;

/** Shows loss, accuracy (means over the epoch so far), speed and time left of a `fit`. */
export class Progress extends tfl.Callback {
  /** Of the last epoch that was begun, over the images it has seen. */
  readonly epochMeans = {loss: NaN, accuracy: NaN};

  private epoch = 0;
  private imagesInEpoch = 0;
  private imagesInRun = 0;
  private lossSum = 0;
  private correct = 0;
  private startedAt = 0;
  private lineAt = 0;
  private bar?: SingleBar;

  constructor(private readonly args: ProgressArgs) {
    super();
  }

  override async onTrainBegin(): Promise<void> {
    this.startedAt = this.lineAt = performance.now();
  }

  override async onEpochBegin(epoch: number): Promise<void> {
    this.epoch = epoch;
    this.imagesInEpoch = this.lossSum = this.correct = 0;
    const {stream, imagesPerEpoch} = this.args;
    if (stream.isTTY) {
      this.bar = new SingleBar({
        stream,
        format: '{title}  {bar}  {numbers}',
        barCompleteChar: '█',
        barIncompleteChar: '░',
        barsize: 20,
      });
      this.bar.start(imagesPerEpoch, 0, {title: this.title(), numbers: ''});
    }
  }

  override async onBatchEnd(_batch: number, logs?: tfl.Logs): Promise<void> {
    const size = logs!.size;
    this.lossSum += size * (await logValue(logs!.loss));
    this.correct += size * (await logValue(logs!.acc));
    this.imagesInEpoch += size;
    this.imagesInRun += size;
    this.epochMeans.loss = this.lossSum / this.imagesInEpoch;
    this.epochMeans.accuracy = this.correct / this.imagesInEpoch;
    this.bar?.update(this.imagesInEpoch, {numbers: this.numbers()});
    const isLast = this.imagesInEpoch === this.args.imagesPerEpoch; // Then onEpochEnd writes.
    if (!this.bar && !isLast && performance.now() - this.lineAt >= lineEveryMs) {
      this.writeLine();
    }
    // A step of wasm or cpu never waits: without this no signal and no timer would be seen.
    await tf.nextFrame();
  }

  override async onEpochEnd(): Promise<void> {
    if (this.bar) this.close();
    else this.writeLine();
  }

  /** Ends the bar and gives the terminal back as it was; from then on lines are written. */
  close(): void {
    this.bar?.stop();
    this.bar = undefined;
  }

  private writeLine(): void {
    this.lineAt = performance.now();
    const seen = `${integer(this.imagesInEpoch)}/${integer(this.args.imagesPerEpoch)}`;
    this.args.stream.write(`${this.title()}  ${seen}  ${this.numbers()}\n`);
  }

  private title(): string {
    return `epoch ${this.epoch + 1}/${this.args.epochs}`;
  }

  private numbers(): string {
    const seconds = (performance.now() - this.startedAt) / 1000;
    const perSecond = this.imagesInRun / seconds;
    const {epochs, imagesPerEpoch} = this.args;
    const left = (epochs - this.epoch) * imagesPerEpoch - this.imagesInEpoch;
    return [
      `loss ${this.epochMeans.loss.toFixed(4)}`,
      `accuracy ${percent(this.epochMeans.accuracy)}`,
      `${perSecond < 10 ? perSecond.toFixed(1) : integer(perSecond)} images/s`,
      `${duration(left / perSecond)} left`,
    ].join('  ');
  }
}
