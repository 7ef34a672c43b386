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

/** Where a training of the model begins, and the checkpoints that there are of it. */
export interface Progress extends TrainingPosition {
  /** Made by chance, to tell its checkpoints from those of another training. */
  training: string;
  /** The best checkpoint in each folder of this training, by the folder's absolute path. */
  bests: ReadonlyMap<string, BestCheckpoint | null>;
}

// By what a Sequential has in common with the model inside of it, which `fit` trains.
const progress = new WeakMap<tfl.SymbolicTensor, Progress>();

/** What was resumed into the model, saved of it or trained since then, in this process. */
export function progressOf(model: tfl.LayersModel): Progress | undefined {
  return progress.get(model.outputs[0]);
}

export function setProgress(model: tfl.LayersModel, value: Progress): void {
  progress.set(model.outputs[0], value);
}

/** After a step: a later training of the model in this process leaves no steps out. */
export function countStep(model: tfl.LayersModel, step: number): void {
  const known = progressOf(model);
  if (known !== undefined) setProgress(model, {...known, step, stepInEpoch: 0});
}
