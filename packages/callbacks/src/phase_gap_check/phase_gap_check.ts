/** The callback that compares training mode and inference mode on the same batches. */
import {ValueError, type BatchNorm} from '@resbatchnorm/layer/introspection';
import type * as tfl from '@tensorflow/tfjs-layers';

import {
  argumentError,
  checkArguments,
  checkWholeNumber,
  watchedBatchNorms,
} from '../arguments.js';
import {FitCallback, type FitLogs} from '../fit_callback.js';
import {layerGap, type LayerGap} from './layer_gap.js';
import {GapHandler, type OnGap, type PhaseGapReport} from './phase_gap.js';
import {probe} from './probe.js';
import {checkProbeData, type ProbeData} from './probe_data.js';
import {UpdateProgress, updatesOutsideTraining, type Updates} from './update_progress.js';

/** Both must be passed for a gap to be one. */
export interface PhaseGapThreshold {
  /** Of (loss in inference mode − loss in training mode)/|loss in training mode|. */
  loss?: number;
  /** Of the distance of the layer that is furthest off. */
  distance?: number;
}

export interface PhaseGapCheckArgs {
  /**
   * The examples to compare the modes on, best some that the model is trained on:
   * `{xs, ys}` of tensors as `fit` takes them, an array of batches `{xs, ys}`, or a dataset of
   * batches as `fitDataset` takes it, which is read anew for each check and whose batches are
   * disposed of. Other tensors stay yours, and have to stay alive.
   */
  data: ProbeData;
  /**
   * The size of the batches that `{xs, ys}` is split into. Batch statistics depend on it, so
   * it should be that of the training. Default: the one given to `fit`, else 32.
   */
  batchSize?: number;
  /** How many batches of the data are used at most. Default 16. */
  steps?: number;
  /** A check is due at the end of every so many epochs. Default 1. */
  everyEpochs?: number;
  /** When the gap is too large. Default `{loss: 0.2, distance: 0.5}`. */
  threshold?: PhaseGapThreshold;
  /**
   * What to do when the gap is too large.
   * - `'warn'` (default): the text goes to `console.warn`, once until the gap has closed.
   * - `'throw'`: `fit`, `fitDataset` or `check` fail with a `PhaseGapError`.
   * - a function: is called with the report of each check that found it so. What it throws
   *   ends the training.
   */
  onGap?: OnGap;
}

const WHERE = 'PhaseGapCheck';

const ARGUMENTS = [
  'data',
  'batchSize',
  'steps',
  'everyEpochs',
  'threshold',
  'onGap',
] as const satisfies (keyof PhaseGapCheckArgs)[];

/**
 * Tells in time that a model will do worse in inference mode than it seems to in training: at
 * the end of each epoch it compares both modes on the same examples, with the model's own loss
 * and metrics.
 *
 *     const check = new PhaseGapCheck({data: {xs, ys}, batchSize: 32});
 *     await model.fit(xs, ys, {epochs: 20, callbacks: [check]});
 *     const {training, inference, layers} = await check.check(model); // at any other time
 *
 * In training mode the batch norms normalize by the statistics of each batch, in inference mode
 * by their moving statistics. All other layers are in inference mode both times, so that what
 * differs is due to batch normalization alone: dropout would differ, too, and at random.
 * Layers are `ResBatchNorm` and `tf.layers.batchNormalization`, wherever they are in the model.
 * Frozen ones are in inference mode both times.
 *
 * A check changes nothing: no weight, no moving statistics, no count of update ops.
 *
 * For each batch norm that is not frozen, with `mean` and `variance` the averages over the
 * batches of what its moving statistics follow (the statistics of its input in training mode;
 * a batch counts by its examples), and the root mean square over the channels,
 *
 *     meanDistance     = rms((mean − moving_mean)/√(moving_variance + epsilon))
 *     varianceDistance = rms(½·ln((variance + epsilon)/(moving_variance + epsilon)))
 *     distance         = the larger of the two
 *     lossGap          = (loss in inference mode − loss in training mode)/|the latter|
 *
 * There is a gap if both pass their threshold: `lossGap`, as a distance may do no harm, and the
 * distance of some layer, as a loss near 0 has large relative gaps for small reasons. In
 * small healthy trainings with momentum 0.9 the loss in inference mode mostly was the lower
 * one, as batches are noisy, and the distance mostly 0.05 to 0.4 from the first epoch of 32
 * steps on; with momentum 0.9999 it was 0.6 to 6.
 *
 * Two things that look like a gap in `fit` are none yet:
 * - Moving statistics are young as long as the values from before the updates make up more than
 *   5 % of them, momentum^updates > 0.05. Of their distance only the part
 *   momentum^(updates still to come) counts, which the training will not outgrow.
 * - If old enough and updated all along, they are behind for some steps whenever the weights
 *   jump. Then two checks in a row have to be past the thresholds.
 *
 * What is told names the three layers that are furthest off, with the likely cause of each:
 * update ops collected and not run, statistics never loaded or updated, batches with one value
 * a channel, a momentum that is too high for so few steps, or data or weights that the
 * statistics do not follow.
 *
 * The logs of an epoch that is checked gain `phase_gap_loss`, `phase_gap_acc` and so on, each
 * the value in inference mode less that in training mode, and `phase_gap_distance`, the largest
 * of all layers. They are in the history that `fit` returns, and callbacks that come after this
 * one can monitor them; with `everyEpochs` above 1, other epochs have none.
 *
 * A model without a batch-norm layer is an error. Layers with a state from batch to batch, as a
 * stateful RNN, have that state moved on.
 */
export class PhaseGapCheck extends FitCallback {
  static override readonly className = WHERE;

  private readonly data: ProbeData;
  private readonly batchSize: number | undefined;
  private readonly steps: number;
  private readonly everyEpochs: number;
  private readonly threshold: Required<PhaseGapThreshold>;
  private readonly handler: GapHandler;
  private readonly history: PhaseGapReport[] = [];
  private progress = new UpdateProgress([]);
  /** Whether the last check of this training was past the thresholds. */
  private wasPast = false;

  /** @throws ValueError if an argument is missing, unknown or wrong. */
  constructor(args: PhaseGapCheckArgs) {
    super();
    checkArguments(WHERE, args, ARGUMENTS);
    const {data, batchSize, steps = 16, everyEpochs = 1, onGap = 'warn'} = args;
    checkProbeData(WHERE, data);
    if (batchSize !== undefined) checkWholeNumber(WHERE, 'batchSize', batchSize, 1);
    checkWholeNumber(WHERE, 'steps', steps, 1);
    checkWholeNumber(WHERE, 'everyEpochs', everyEpochs, 1);
    this.data = data;
    this.batchSize = batchSize;
    this.steps = steps;
    this.everyEpochs = everyEpochs;
    this.threshold = thresholdOf(args);
    this.handler = new GapHandler(WHERE, onGap);
  }

  protected override async trainBegin(): Promise<void> {
    this.handler.reset();
    this.wasPast = false;
    this.progress = await UpdateProgress.begin(watchedBatchNorms(WHERE, this.model));
  }

  protected override stepEnd(): void {
    this.progress.stepEnd();
  }

  protected override async epochEnd(epoch: number, logs: FitLogs): Promise<void> {
    this.progress.epochEnd();
    if ((epoch + 1) % this.everyEpochs !== 0) return;
    const {epochs, batchSize} = this.params as Record<string, number | null>;
    const report = await this.compare(WHERE, this.model, {
      epoch,
      batchSize: this.batchSize ?? batchSize ?? 32,
      updatesOf: norm => this.progress.updatesOf(norm, (epochs ?? 0) - epoch - 1),
    });
    Object.assign(logs, logsOf(report));
    this.handler.handle(report);
  }

  /**
   * Outside of `fit`: compares the modes at once, and does what `onGap` says.
   *
   * @param model compiled, with the loss and the metrics to compare.
   * @throws ValueError if the model or the data are wrong; PhaseGapError.
   */
  async check(model: tfl.LayersModel): Promise<PhaseGapReport> {
    const report = await this.compare(`${WHERE}.check`, model, {
      epoch: null,
      batchSize: this.batchSize ?? 32,
      // The built-in layer does not count, but its last training did.
      updatesOf: norm =>
        this.progress.knows(norm)
          ? this.progress.updatesOf(norm, 0)
          : updatesOutsideTraining(norm),
    });
    this.handler.handle(report);
    return report;
  }

  /** What each check saw, the first first. */
  report(): PhaseGapReport[] {
    return [...this.history];
  }

  /** Starts the report anew. */
  reset(): void {
    this.history.length = 0;
    this.handler.reset();
  }

  private async compare(
    where: string,
    model: tfl.LayersModel,
    {epoch, batchSize, updatesOf}: Circumstances,
  ): Promise<PhaseGapReport> {
    const norms = watchedBatchNorms(where, model);
    if (model.optimizer == null) {
      throw new ValueError(
        `${where}: the model '${model.name}' must be compiled, with the loss to compare. ` +
          'Received: a model that is not',
      );
    }
    const size = {batchSize, steps: this.steps};
    const {statistics, ...values} = await probe(where, model, norms, this.data, size);
    const layers = await Promise.all(
      [...statistics].map(([layer, batch]) => layerGap(layer, batch, updatesOf(layer))),
    );
    const lossGap = relativeGap(values.training.loss, values.inference.loss);
    const isGap = this.isGap(lossGap, layers, epoch !== null);
    const report = {epoch, ...values, lossGap, layers, isGap};
    this.history.push(report);
    return report;
  }

  private isGap(lossGap: number, layers: LayerGap[], isTraining: boolean): boolean {
    const {loss, distance} = this.threshold;
    const far = layers.filter(layer => layer.expectedDistance > distance);
    const isPast = lossGap > loss && far.length > 0;
    if (!isTraining) return isPast;
    const wasPast = this.wasPast;
    this.wasPast = isPast;
    // Weights that have just jumped leave the best of moving statistics behind for some steps.
    const isLasting = wasPast || far.some(({cause}) => cause !== 'unlike the data');
    return isPast && isLasting;
  }
}

interface Circumstances {
  epoch: number | null;
  batchSize: number;
  updatesOf: (layer: BatchNorm) => Updates;
}

/** Infinite if only the loss in inference mode is not finite; NaN if both are. */
function relativeGap(training: number, inference: number): number {
  if (Number.isFinite(training) && !Number.isFinite(inference)) return Infinity;
  return (inference - training) / Math.abs(training);
}

function logsOf({training, inference, layers}: PhaseGapReport): Record<string, number> {
  const gaps = Object.keys(training).map(name => [
    `phase_gap_${name}`,
    inference[name] - training[name],
  ]);
  const distance = Math.max(0, ...layers.map(layer => layer.distance));
  return {...Object.fromEntries(gaps), phase_gap_distance: distance};
}

function thresholdOf({threshold = {}}: PhaseGapCheckArgs): Required<PhaseGapThreshold> {
  checkArguments(`${WHERE}: argument 'threshold'`, threshold, ['loss', 'distance']);
  const {loss = 0.2, distance = 0.5} = threshold;
  for (const [name, value] of Object.entries({loss, distance})) {
    if (typeof value === 'number' && value >= 0) continue;
    throw argumentError(WHERE, `threshold.${name}`, 'a number, 0 or more', value);
  }
  return {loss, distance};
}
