/** What the callbacks of this package have in common. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ValueError} from './errors.js';
import {yieldIfDue} from './event_loop_yield.js';

/** The logs that `fit` passes to an instance of a callback; on the device, in a step's. */
export interface FitLogs {
  [key: string]: number | tf.Scalar;
}

/**
 * A callback of `fit` and `fitDataset` that may fail without a leak. A subclass overrides
 * `trainBegin`, `epochBegin`, `stepBegin`, `stepEnd`, `epochEnd` and `trainEnd`, and throws
 * from any of them.
 *
 * What is thrown in a step ends the training after that step, in the `onEpochEnd` that follows
 * at once, when `fit` has disposed of its tensors. As every callback instance does, these
 * replace the default one of `fit` that lets the event loop run, so they do that too.
 */
export abstract class FitCallback extends tfl.Callback {
  /** What `onEpochEnd` has to throw. */
  private failure: {error: unknown} | null = null;

  /** tfjs's own asks for an instance of its class, which a second copy of it has not. */
  override setModel(model: tfl.LayersModel): void {
    this.model = model;
  }

  /** Called first; `params` and `model` are set. */
  protected trainBegin?(): void | Promise<void>;
  protected epochBegin?(epoch: number): void | Promise<void>;
  protected stepBegin?(step: number): void | Promise<void>;
  protected stepEnd?(step: number, logs: FitLogs): void | Promise<void>;
  protected epochEnd?(epoch: number, logs: FitLogs): void | Promise<void>;
  /** Not called if the training fails. */
  protected trainEnd?(): void | Promise<void>;

  override async onTrainBegin(): Promise<void> {
    // tfjs passes the model to callbacks only; anything else it takes for a plain object of
    // functions, calls them on an object of its own, and the callback would do nothing.
    if (!(this instanceof FitCallback)) {
      throw new ValueError(
        'Callbacks must be instances of tf.Callback, all of them and from one copy of ' +
          '@tensorflow/tfjs-layers. Received: a plain object as the first callback, or a ' +
          'model from another copy (see `npm ls @tensorflow/tfjs-layers`)',
      );
    }
    this.failure = null;
    await this.trainBegin?.();
  }

  override async onEpochBegin(epoch: number): Promise<void> {
    await this.epochBegin?.(epoch);
  }

  override async onBatchBegin(batch: number): Promise<void> {
    await this.inStep(() => this.stepBegin?.(batch));
  }

  override async onBatchEnd(batch: number, logs: FitLogs = {}): Promise<void> {
    if (this.failure === null) await this.inStep(() => this.stepEnd?.(batch, logs));
    await yieldIfDue();
  }

  override async onEpochEnd(epoch: number, logs: FitLogs = {}): Promise<void> {
    try {
      if (this.failure !== null) throw this.failure.error;
      await this.epochEnd?.(epoch, logs);
    } catch (error) {
      // fit leaves the logs of this epoch and of those before behind as tensors.
      tf.dispose(logs);
      await this.model.history.syncData();
      throw error;
    }
  }

  override async onTrainEnd(): Promise<void> {
    await this.trainEnd?.();
  }

  private async inStep(work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      // Thrown from here, tensors of fit's own would leak.
      this.failure ??= {error};
      this.model.stopTraining = true;
    }
  }
}
