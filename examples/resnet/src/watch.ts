/** What watches the training and keeps its checkpoints, as the options ask for it. */
import {
  ModelCheckpoint,
  MovingStatisticsSummary,
  PhaseGapCheck,
  UpdateOpsCheck,
} from '@resbatchnorm/callbacks';
import type * as tfl from '@tensorflow/tfjs-layers';

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
    tensorboard === undefined ? undefined : new MovingStatisticsSummary(tensorboard),
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
