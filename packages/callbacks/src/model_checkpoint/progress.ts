/** How far the training of a model has come. */
import type * as tfl from '@tensorflow/tfjs-layers';

/** A place between two steps of a training. */
export interface TrainingPosition {
  /** Epochs that are done. This is what `fit` and `fitDataset` take as `initialEpoch`. */
  epoch: number;
  /** Steps that are done of the epoch after those. */
  stepInEpoch: number;
  /** Steps that are done in all. */
  step: number;
}

/** The best epoch so far by the monitored quantity. */
export interface BestCheckpoint {
  /** Key of the logs of an epoch, such as `val_loss`. */
  monitor: string;
  value: number;
  /** The name of the checkpoint that was saved of it. */
  checkpoint: string;
}

/** Where a training of the model begins; that of `fitDataset` by the steps to leave out, too. */
export interface Progress extends TrainingPosition {
  best: BestCheckpoint | null;
  /** The absolute path of the folder with the checkpoints of this training. */
  folder: string;
}

// By what a Sequential has in common with the model inside of it, which `fit` trains.
const progress = new WeakMap<tfl.SymbolicTensor, Progress>();

/** What was last saved of the model, or resumed into it, in this process. */
export function progressOf(model: tfl.LayersModel): Progress | undefined {
  return progress.get(model.outputs[0]);
}

export function setProgress(model: tfl.LayersModel, value: Progress): void {
  progress.set(model.outputs[0], value);
}
