/** What the callbacks of this package have in common: errors without leaks, and the logs. */
import {ValueError} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  admitPlainObjects,
  classError,
  newCall,
  type CallbackClass,
} from './callbacks_argument.js';
import {countStep, progressOf, type TrainingPosition} from './progress.js';

/** The logs that `fit` passes to an instance of a callback; on the device, in a step's. */
export interface FitLogs {
  [key: string]: number | tf.Scalar;
}

/** What the callbacks of one call of `fit` or `fitDataset` share. */
interface Training {
  /** What went wrong in a step, for `onEpochEnd` to throw. */
  failure?: {error: unknown};
  /** Whether the epoch that ends was stopped in its middle; undefined before its end. */
  isCutShort?: boolean;
}

/** By their `params`, which tfjs makes for each training and gives to all its callbacks. */
const trainings = new WeakMap<object, Training>();

/** The training that a callback is in, or was in until it failed. */
interface OwnTraining {
  model: tfl.LayersModel;
  /** tfjs makes one for each training; null until `onTrainBegin`. */
  history: tfl.History | null;
}

/** Of what tfjs tells callbacks; null or undefined where it does not know. */
interface TrainingParams {
  /** Batches of an epoch of `fitDataset`. */
  steps?: number | null;
  /** Given by `fit` alone. */
  samples?: number | null;
  batchSize?: number | null;
  doValidation?: boolean;
}

/**
 * A callback of `fit` and `fitDataset` that may fail without a leak. A subclass overrides
 * `trainBegin`, `epochBegin`, `stepBegin`, `stepEnd`, `epochEnd` and `trainEnd`, and throws
 * from any of them.
 *
 * What is thrown in a step ends the training after that step, in the `onEpochEnd` that follows
 * at once, when `fit` has disposed of its tensors. Until then no other one of these callbacks
 * is called, so that what one finds fault with is not saved by another.
 *
 * As every callback instance does, these replace the default one of `fit` that lets the event
 * loop run, so they do that too.
 */
export abstract class FitCallback extends tfl.Callback {
  /** The name of the class in messages; each subclass has its own. */
  static readonly className: string;

  /**
   * Whether it runs on one replica alone, the chief, where several train together by
   * `replicas.fitDataset` of @resbatchnorm/distributed: true of what writes or prints.
   */
  readonly onChiefOnly: boolean = false;

  /** Where the training is; in an epoch that was resumed, with the steps before that. */
  protected readonly position: TrainingPosition = {epoch: 0, stepInEpoch: 0, step: 0};

  private shared: Training = {};
  /** Where the training begins. */
  private start: TrainingPosition = this.position;
  /** What `fit` calls with before it says of which model. */
  private given: typeof this.params = {};
  /** Null before a training and after one that came to its end. */
  private ownTraining: OwnTraining | null = null;

  constructor() {
    super();
    admitPlainObjects();
  }

  /** @internal What tfjs calls of a class that is passed in place of an instance, as first. */
  static get onTrainBegin(): () => never {
    return () => this.setParams();
  }

  /** @internal The same behind an instance. */
  static setParams(): never {
    throw classError(this);
  }

  override setParams(params: typeof this.params): void {
    this.given = params;
  }

  /**
   * That of tfjs takes models of its own copy only.
   *
   * @throws ValueError if this is in a training of another model, which goes on as it was.
   */
  override setModel(model: tfl.LayersModel): void {
    if (this.isInTrainingOfOther(model)) {
      throw new ValueError(
        `${this.class.className}: an instance can be in one training at a time: make one for ` +
          `each, ${newCall(this.class)}. Received: one whose other training is still running`,
      );
    }
    this.params = this.given;
    this.model = model;
    this.ownTraining = {model, history: null};
  }

  /** Called first; `params` and `model` are set. */
  protected trainBegin?(): void | Promise<void>;
  protected epochBegin?(epoch: number): void | Promise<void>;
  protected stepBegin?(step: number): void | Promise<void>;
  protected stepEnd?(step: number, logs: FitLogs): void | Promise<void>;
  /**
   * @param isCutShort whether training was stopped before all steps of the epoch and its
   *     validation were done: the logs are of a part of it.
   */
  protected epochEnd?(
    epoch: number,
    logs: FitLogs,
    isCutShort: boolean,
  ): void | Promise<void>;
  /** Not called if the training fails. */
  protected trainEnd?(): void | Promise<void>;

  override async onTrainBegin(): Promise<void> {
    // Taken for a plain object of functions, they are called on an object of tfjs's own.
    if (!(this instanceof FitCallback)) {
      throw new ValueError(
        'The model must come from the same copy of @tensorflow/tfjs-layers as the callbacks. ' +
          'Received: one from another copy (`npm ls @tensorflow/tfjs-layers` shows them)',
      );
    }
    const {history} = this.model;
    if (history === this.ownTraining?.history) {
      throw new ValueError(
        `${this.class.className}: an instance can be in the list of callbacks once. ` +
          'Received: the same one twice',
      );
    }
    this.ownTraining = {model: this.model, history};
    this.shared = trainings.get(this.params) ?? {};
    trainings.set(this.params, this.shared);
    this.start = progressOf(this.model) ?? {epoch: 0, stepInEpoch: 0, step: 0};
    this.position.step = this.start.step;
    await this.trainBegin?.();
  }

  override async onEpochBegin(epoch: number): Promise<void> {
    this.shared.isCutShort = undefined;
    // `fit` begins each epoch with its first batch.
    const goesOn = this.start.epoch === epoch && !this.isOfTensors();
    this.position.epoch = epoch;
    this.position.stepInEpoch = goesOn ? this.start.stepInEpoch : 0;
    await this.epochBegin?.(epoch);
  }

  override async onBatchBegin(batch: number): Promise<void> {
    await this.inStep(() => this.stepBegin?.(batch));
  }

  override async onBatchEnd(batch: number, logs: FitLogs = {}): Promise<void> {
    await this.inStep(() => {
      this.position.step += 1;
      this.position.stepInEpoch += 1;
      countStep(this.model, this.position.step);
      return this.stepEnd?.(batch, logs);
    });
    await yieldIfDue();
  }

  override async onEpochEnd(epoch: number, logs: FitLogs = {}): Promise<void> {
    try {
      if (this.shared.failure) throw this.shared.failure.error;
      // The first callback decides, as one behind it may stop the training now.
      this.shared.isCutShort ??= this.isCutShort(logs);
      await this.epochEnd?.(epoch, logs, this.shared.isCutShort);
    } catch (error) {
      // fit leaves the logs of this epoch and of those before behind as tensors.
      tf.dispose(logs);
      await this.model.history.syncData();
      throw error;
    }
  }

  override async onTrainEnd(): Promise<void> {
    this.ownTraining = null;
    await this.trainEnd?.();
  }

  private get class(): CallbackClass {
    return this.constructor as typeof FitCallback;
  }

  private isInTrainingOfOther(model: tfl.LayersModel): boolean {
    if (this.ownTraining === null || this.ownTraining.model === model) return false;
    // A callback is not told that a training failed, and another may have begun since.
    const {model: other, history} = this.ownTraining;
    const {isTraining} = other as unknown as {isTraining: boolean};
    return isTraining && (history === null || history === other.history);
  }

  /** Undefined where tfjs does not know: the size of some datasets. */
  protected knownStepsPerEpoch(): number | undefined {
    const {samples, batchSize, steps} = this.params as TrainingParams;
    return samples && batchSize ? Math.ceil(samples / batchSize) : (steps ?? undefined);
  }

  /** Whether this is the training of `fit`, not `fitDataset`. */
  private isOfTensors(): boolean {
    return (this.params as TrainingParams).samples != null;
  }

  private isCutShort(logs: FitLogs): boolean {
    if (!this.model.stopTraining) return false;
    // Validation follows the last step, unless a dataset is stopped in between.
    if ((this.params as TrainingParams).doValidation)
      return !Object.keys(logs).some(name => name.startsWith('val_'));
    return this.position.stepInEpoch < (this.knownStepsPerEpoch() ?? Infinity);
  }

  private async inStep(work: () => void | Promise<void>): Promise<void> {
    if (this.shared.failure) return;
    try {
      await work();
    } catch (error) {
      // Thrown from here, tensors of fit's own would leak.
      this.shared.failure = {error};
      this.model.stopTraining = true;
    }
  }
}

/** What `fit` puts into the logs of a step besides the loss and the metrics. */
const NOT_METRICS = ['batch', 'size'];

/** The loss and the metrics, read back from the device. */
export async function readLogs(logs: FitLogs): Promise<Record<string, number>> {
  const names = Object.keys(logs).filter(name => !NOT_METRICS.includes(name));
  const values = await Promise.all(names.map(name => logValue(logs[name])));
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

export async function logValue(log: FitLogs[string]): Promise<number> {
  return typeof log === 'number' ? log : (await log.data())[0];
}

/** How often tfjs-layers itself lets the event loop run. */
const YIELD_MS = 125;

// Shared by all callbacks of a program: one of them yielding is enough.
let lastYield = -Infinity;

/**
 * Lets timers and frames run during `fit`. tfjs-layers does so itself only as long as no
 * instance of a callback is passed to `fit`, so each callback of this package has to.
 */
async function yieldIfDue(): Promise<void> {
  if (tf.util.now() - lastYield < YIELD_MS) return;
  await tf.nextFrame();
  lastYield = tf.util.now();
}
