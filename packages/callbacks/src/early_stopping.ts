/** The callback that stops a training which has ceased to get better. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {
  argumentError,
  checkArguments,
  checkBoolean,
  checkWholeNumber,
} from './arguments.js';
import {FitCallback, type FitLogs} from './fit_callback.js';
import {Monitor, type MonitorMode} from './monitor.js';

export interface EarlyStoppingArgs {
  /** The quantity to watch: a key of the logs of an epoch. Default 'val_loss'. */
  monitor?: string;
  /** A change counts as an improvement if it is larger than this. Default 0. */
  minDelta?: number;
  /** Epochs without an improvement after which training stops. Default 0: at the first. */
  patience?: number;
  /**
   * Whether less ('min') or more ('max') is better. Default 'auto': 'max' for a name with
   * acc, auc, precision, recall, f1, fmeasure or r2 in it that does not end in loss, else
   * 'min'.
   */
  mode?: MonitorMode;
  /** A value that has to be beaten, too, for an epoch to count as an improvement. */
  baseline?: number;
  /**
   * Whether the model gets the weights of its best epoch back when training ends. Default
   * false.
   */
  restoreBestWeights?: boolean;
  /** Epochs before this one, counted from 0, are not looked at. Default 0. */
  startFromEpoch?: number;
}

const NAME = 'EarlyStopping';

const ARGUMENTS = [
  'monitor',
  'minDelta',
  'patience',
  'mode',
  'baseline',
  'restoreBestWeights',
  'startFromEpoch',
] as const satisfies (keyof EarlyStoppingArgs)[];

/** The values of a weight, in the memory of the host. */
interface WeightValues {
  weight: tfl.LayerVariable;
  values: tf.TypedArray;
}

/**
 * Stops training when the monitored quantity has not improved for `patience` epochs, as the
 * Keras callback of that name does, and restores the best weights, which the one of tfjs does
 * not (tensorflow/tfjs#8488):
 *
 *     const stopping = new EarlyStopping({patience: 5, restoreBestWeights: true});
 *     await model.fit(x, y, {epochs: 100, validationData, callbacks: [stopping]});
 *     console.log(stopping.bestEpoch, stopping.best);
 *
 * A value v is an improvement over the best one b if v < b − minDelta, in mode 'max' if
 * v > b + minDelta; NaN and infinity never are. The first value is one, and if no value is,
 * the first epoch that was looked at counts as the best.
 *
 * With `restoreBestWeights`, all weights of the best epoch are restored: also the ones that
 * are not trained, such as the moving statistics of batch normalization. As in Keras 3 that
 * happens at every regular end of training, whether it was stopped or went through all its
 * epochs; if training fails, the weights stay as they were then. The optimizer goes on from
 * where it was. One copy of the weights is held in the host's memory, not as tensors, so
 * nothing is left on the device if training fails.
 *
 * An epoch that training is stopped in, by another callback, is not looked at: its validation
 * was not done. The callback starts anew with each training, also with one that was resumed.
 */
export class EarlyStopping extends FitCallback {
  static override readonly className = NAME;

  /** The best value of the monitored quantity in the last training; null before any. */
  best: number | null = null;
  /** The epoch of that value, counted from 0. */
  bestEpoch: number | null = null;
  /** The epoch that training was stopped after, counted from 0; null if it was not. */
  stoppedEpoch: number | null = null;

  private readonly monitor: Monitor;
  private readonly minDelta: number;
  private readonly patience: number;
  private readonly baseline: number | null;
  private readonly restoreBestWeights: boolean;
  private readonly startFromEpoch: number;
  private epochsWithoutImprovement = 0;
  private bestWeights: WeightValues[] = [];

  /** @throws ValueError if an argument is unknown or wrong. */
  constructor(args: EarlyStoppingArgs = {}) {
    super();
    checkArguments(NAME, args, ARGUMENTS);
    const {monitor = 'val_loss', mode = 'auto', minDelta = 0, patience = 0} = args;
    const {baseline, restoreBestWeights = false, startFromEpoch = 0} = args;
    this.monitor = new Monitor(NAME, monitor, mode);
    if (!Number.isFinite(minDelta) || minDelta < 0)
      throw argumentError(NAME, 'minDelta', 'a number, 0 or more', minDelta);
    if (baseline !== undefined && !Number.isFinite(baseline))
      throw argumentError(NAME, 'baseline', 'a number', baseline);
    checkWholeNumber(NAME, 'patience', patience, 0);
    checkWholeNumber(NAME, 'startFromEpoch', startFromEpoch, 0);
    checkBoolean(NAME, 'restoreBestWeights', restoreBestWeights);
    this.minDelta = minDelta;
    this.patience = patience;
    this.baseline = baseline ?? null;
    this.restoreBestWeights = restoreBestWeights;
    this.startFromEpoch = startFromEpoch;
  }

  protected override trainBegin(): void {
    this.monitor.checkParams(this.params);
    this.best = null;
    this.bestEpoch = null;
    this.stoppedEpoch = null;
    this.epochsWithoutImprovement = 0;
    this.bestWeights = [];
  }

  protected override async epochEnd(
    epoch: number,
    logs: FitLogs,
    isCutShort: boolean,
  ): Promise<void> {
    // Of an epoch that was resumed after its last step there is nothing in the logs.
    const isEmpty = Object.keys(logs).length === 0;
    if (isCutShort || isEmpty || epoch < this.startFromEpoch) return;
    const value = await this.monitor.read(logs);
    const isBest = this.monitor.isBetter(value, this.best, this.minDelta);
    if (isBest || this.bestEpoch === null) {
      this.bestEpoch = epoch;
      if (this.restoreBestWeights) this.bestWeights = await readWeights(this.model);
    }
    if (isBest) this.best = value;
    if (isBest && this.isBeyondBaseline(value)) {
      this.epochsWithoutImprovement = 0;
      return;
    }
    this.epochsWithoutImprovement += 1;
    if (this.epochsWithoutImprovement < this.patience || isBest) return;
    // One epoch tells nothing about getting better: Keras lets a second one follow, too.
    if (epoch === 0) return;
    this.stoppedEpoch = epoch;
    this.model.stopTraining = true;
  }

  protected override trainEnd(): void {
    writeWeights(this.bestWeights);
    this.bestWeights = [];
  }

  private isBeyondBaseline(value: number): boolean {
    return (
      this.baseline === null || this.monitor.isBetter(value, this.baseline, this.minDelta)
    );
  }
}

async function readWeights(model: tfl.LayersModel): Promise<WeightValues[]> {
  return Promise.all(
    model.weights.map(async weight => ({weight, values: await weight.read().data()})),
  );
}

function writeWeights(weights: readonly WeightValues[]): void {
  tf.tidy(() => {
    for (const {weight, values} of weights) {
      const variable = weight.read() as tf.Variable;
      // Not weight.write, which would apply a constraint once more than training did.
      variable.assign(tf.tensor(values, variable.shape, variable.dtype));
    }
  });
}
