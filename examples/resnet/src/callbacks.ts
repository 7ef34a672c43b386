/**
 * The callbacks of a run: what watches the training and keeps its checkpoints, as the options
 * ask for it, and what ends a training before its time.
 */
import {
  MovingStatisticsSummary,
  PhaseGapCheck,
  UpdateOpsCheck,
} from '@resbatchnorm/callbacks';
import {eventFiles, ModelCheckpoint} from '@resbatchnorm/callbacks/node';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {type Normalization, trainingBatches} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';
import {CHECKPOINT_STEPS, type Options} from './options.js';

export interface Watch {
  updateOps?: UpdateOpsCheck;
  phaseGap?: PhaseGapCheck;
  /** In the order in which they are to be called. */
  callbacks: tfl.Callback[];
}

export function watch(
  {norm, batchSize, seed, tensorboard, checkpoint, checkGap}: Options,
  dataset: ImageDataset,
  normalization: Normalization,
): Watch {
  const updateOps = norm === 'none' ? undefined : new UpdateOpsCheck();
  // The same batches each time, in an order that the training does not see them in.
  const data = trainingBatches(dataset, normalization, {batchSize, seed: seed + 1});
  const phaseGap = checkGap ? new PhaseGapCheck({data}) : undefined;
  const callbacks = [
    updateOps,
    phaseGap,
    tensorboard === undefined
      ? undefined
      : new MovingStatisticsSummary({writer: eventFiles(tensorboard)}),
    // Behind what may find fault with a step.
    checkpoint === undefined
      ? undefined
      : new ModelCheckpoint({
          path: checkpoint,
          monitor: 'loss',
          everySteps: CHECKPOINT_STEPS,
        }),
  ];
  return {updateOps, phaseGap, callbacks: callbacks.filter(one => one !== undefined)};
}

/**
 * Ends training with an error in the first step that leaves a weight not finite. The loss
 * would not tell: the wasm backend clips a NaN probability to a finite one.
 */
export class StopOnDivergence extends tfl.Callback {
  private epoch = 0;

  override async onEpochBegin(epoch: number): Promise<void> {
    this.epoch = epoch;
  }

  override async onBatchEnd(batch: number): Promise<void> {
    // One number to read back: a sum is finite only where all that it adds is.
    const total = tf.tidy(() =>
      tf.addN(this.model.trainableWeights.map(weight => tf.sum(weight.read()))),
    );
    const [value] = await total.data();
    total.dispose();
    if (!Number.isFinite(value)) {
      throw new Error(
        `Training has diverged: weights are not finite after epoch ${this.epoch + 1}, ` +
          `batch ${batch + 1}. Try a smaller --learning-rate.`,
      );
    }
  }
}

// npm passes Ctrl-C on to the program, which has had it from the terminal already. Within
// this time the second one is taken for the first one's echo.
const echoMs = 300;

/**
 * Turns the first Ctrl-C into a request, so that the program can finish the step it is in
 * and save. The second one ends the process at once, even in the middle of a step: Node's
 * own handling is back by then.
 */
export class Interrupt {
  requested = false;

  private readonly onSignal = () => {
    if (this.requested) return;
    this.requested = true;
    this.onRequest();
    process.stderr.write('Stopping after this step. Ctrl-C again stops at once.\n');
    setTimeout(() => this.release(), echoMs).unref();
  };

  /** `onRequest` is called at the first Ctrl-C, before it is confirmed on stderr. */
  constructor(private readonly onRequest: () => void = () => {}) {
    process.on('SIGINT', this.onSignal);
  }

  release(): void {
    process.off('SIGINT', this.onSignal);
  }
}

/** Ends `fit` after the step in which the interrupt was requested. */
export class StopOnInterrupt extends tfl.Callback {
  constructor(private readonly interrupt: Interrupt) {
    super();
  }

  override async onBatchEnd(): Promise<void> {
    if (this.interrupt.requested) this.model.stopTraining = true;
  }
}
