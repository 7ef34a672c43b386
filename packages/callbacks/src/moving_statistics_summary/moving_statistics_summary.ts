/** The callback that writes how the moving statistics move, for TensorBoard and tfjs-vis. */
import type {BatchNorm} from '@resbatchnorm/layer/introspection';

import {
  argumentError,
  checkArguments,
  checkWholeNumber,
  watchedBatchNorms,
} from '../arguments.js';
import {FitCallback, readLogs, type FitLogs} from '../fit_callback.js';
import {observeNow, StepObservation, watchedLayers} from './step_observation.js';
import type {Summary, SummaryWriter} from './summary.js';

const WHERE = 'MovingStatisticsSummary';

export interface MovingStatisticsSummaryArgs {
  /**
   * What takes the summaries: `eventFiles(folder)` of `@resbatchnorm/callbacks/node` for
   * TensorBoard, a `SummarySeries` for tfjs-vis, or any other object with `write`.
   */
  writer: SummaryWriter;
  /**
   * A summary is due every so many training steps, and after the last step of each epoch.
   * Default 100; `null` for the ends of epochs only.
   */
  everySteps?: number | null;
}

/**
 * Tells what the batch-norm layers of a model go through in `fit` and `fitDataset`, in Node as
 * TensorBoard event files, which need no TensorFlow:
 *
 *     import {eventFiles} from '@resbatchnorm/callbacks/node';
 *
 *     const summary = new MovingStatisticsSummary({writer: eventFiles('logs'), everySteps: 50});
 *     await model.fit(x, y, {callbacks: [summary]});
 *     // tensorboard --logdir logs
 *
 * and anywhere as the charts of tfjs-vis: see `SummarySeries`.
 *
 * | tag | what | over |
 * | --- | --- | --- |
 * | `bn/moving_mean`, `bn/moving_variance` | histogram of the weight of that name, in 30 buckets | steps |
 * | `bn/mean_distance`, `bn/variance_distance` | how far the batch's statistics are from the moving ones | steps |
 * | `bn/moving_mean_non_finite`, `bn/moving_variance_non_finite` | how many values are NaN or infinite, and so in no histogram, if any | steps |
 * | `batch_loss`, `batch_…` | the loss and each metric of the batch | steps |
 * | `epoch_loss`, `epoch_…` | the loss and each metric of the epoch, from 0 | epochs |
 *
 * They are the names that the TensorBoard callback of Keras gives, and like there, values of
 * the validation data are in a run of their own: `logs/train`, `logs/validation`.
 *
 * The distances are of the batch of that step, from the moving statistics as they were before
 * it, in units of the normalized output: with the root mean square over the channels,
 *
 *     mean_distance     = rms((mean − moving_mean)/√(moving_variance + epsilon))
 *     variance_distance = rms(½·ln((variance + epsilon)/(moving_variance + epsilon)))
 *
 * Both are 0 where training mode and inference mode agree. They are there for layers that
 * were trained in the step: of the first batch, if a `ResBatchNorm` has several in a step. The
 * built-in layer does not tell the batch's statistics; they are found from the change of its
 * moving statistics, which is right if it is called once a step. For the last step of an epoch
 * they are missing if it could not be told to be that: in the first epoch of a dataset of
 * unknown size, and if the training is stopped.
 *
 * Reads back from the device when a summary is due, and at no other time. A callback that is
 * used for a second training goes on counting steps and epochs, in a new file; so does one of
 * a training that goes on after `resume`, from the step of the checkpoint. Each summary is
 * appended at once: what was written stays readable however the training ends.
 */
export class MovingStatisticsSummary extends FitCallback {
  static override readonly className = WHERE;
  override readonly onChiefOnly = true;

  private readonly writer: SummaryWriter;
  private readonly everySteps: number | null;
  private layers: BatchNorm[] = [];
  private stepsPerEpoch?: number;
  /** Steps done. */
  private step = 0;
  /** The step of the last histograms. */
  private lastDue = 0;
  /** The last epoch that has ended. */
  private epoch = -1;
  private observation: StepObservation | null = null;

  /** @throws ValueError if an argument is missing, unknown or wrong. */
  constructor(args: MovingStatisticsSummaryArgs) {
    super();
    checkArguments(WHERE, args, ['writer', 'everySteps']);
    const {writer, everySteps = 100} = args;
    if (typeof writer?.write !== 'function') {
      const expected =
        "eventFiles('a folder') of @resbatchnorm/callbacks/node, a SummarySeries, or an " +
        'object with write(summaries)';
      throw argumentError(WHERE, 'writer', expected, writer);
    }
    if (everySteps !== null) checkWholeNumber(WHERE, 'everySteps', everySteps, 1);
    this.writer = writer;
    this.everySteps = everySteps;
  }

  protected override async trainBegin(): Promise<void> {
    this.layers = watchedBatchNorms(WHERE, this.model);
    this.stepsPerEpoch = this.knownStepsPerEpoch();
    // That of a step that another training began and did not end.
    this.observation?.cancel();
    this.observation = null;
    await this.writer.begin?.();
  }

  protected override epochBegin(epoch: number): void {
    // With `initialEpoch` or from a checkpoint, a training goes on where another one was.
    const {step, stepInEpoch} = this.position;
    const stepsBefore = epoch * (this.stepsPerEpoch ?? 0) + stepInEpoch;
    this.step = Math.max(this.step, step, stepsBefore);
  }

  protected override async stepBegin(): Promise<void> {
    const isLast = this.position.stepInEpoch + 1 === this.stepsPerEpoch;
    const isDue = this.everySteps !== null && (this.step + 1) % this.everySteps === 0;
    this.observation?.cancel();
    this.observation =
      isDue || isLast ? await StepObservation.begin(watchedLayers(this.layers)) : null;
  }

  protected override async stepEnd(_step: number, logs: FitLogs): Promise<void> {
    this.step += 1;
    if (this.observation === null) return;
    this.lastDue = this.step;
    const [{scalars, histograms}, batchLogs] = await Promise.all([
      this.observation.finish(),
      readLogs(logs),
    ]);
    const all = {...prefixed('batch_', batchLogs), ...scalars};
    await this.writer.write([this.summary('train', this.step, all, histograms)]);
  }

  protected override async epochEnd(epoch: number, logs: FitLogs): Promise<void> {
    this.stepsPerEpoch ??= this.position.stepInEpoch;
    this.epoch = Math.max(epoch, this.epoch + 1);
    const summaries = runsOf(await readLogs(logs)).map(([run, scalars]) =>
      this.summary(run, this.epoch, prefixed('epoch_', scalars)),
    );
    if (this.lastDue < this.step) {
      this.lastDue = this.step;
      const {scalars, histograms} = await observeNow(watchedLayers(this.layers));
      summaries.push(this.summary('train', this.step, scalars, histograms));
    }
    await this.writer.write(summaries);
  }

  private summary(
    run: Summary['run'],
    step: number,
    scalars: Summary['scalars'],
    histograms: Summary['histograms'] = {},
  ): Summary {
    return {run, step, wallTime: Date.now() / 1000, scalars, histograms};
  }
}

/** What of an epoch's logs belongs to which run, without the `val_`. */
function runsOf(logs: Record<string, number>): [Summary['run'], Summary['scalars']][] {
  const isOfValidation = (name: string) => name.startsWith('val_');
  const entries = Object.entries(logs);
  const train = entries.filter(([name]) => !isOfValidation(name));
  const validation = entries.filter(([name]) => isOfValidation(name));
  const runs: [Summary['run'], Summary['scalars']][] = [
    ['train', Object.fromEntries(train)],
    [
      'validation',
      Object.fromEntries(validation.map(([name, value]) => [name.slice(4), value])),
    ],
  ];
  return runs.filter(([, scalars]) => Object.keys(scalars).length > 0);
}

function prefixed(
  prefix: string,
  scalars: Record<string, number>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(scalars).map(([name, value]) => [prefix + name, value]),
  );
}
