/** Goes on with a training from its checkpoints. */
import type * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {argumentError, checkArguments, checkText} from '../arguments.js';
import {setProgress, type BestCheckpoint, type TrainingPosition} from '../progress.js';
import {
  CheckpointError,
  CheckpointFolder,
  DamageError,
  reasonOf,
  type CheckpointContent,
} from './checkpoint_folder.js';
import {
  decodeManifest,
  decodeTraining,
  type Loss,
  type Metrics,
} from './training_state.js';

export interface ResumeOptions {
  /**
   * Which checkpoint to load: the newest (default), to go on with the training, or that of
   * the best epoch by the monitored quantity, to use the model.
   */
  which?: 'newest' | 'best';
  /** The loss, if the model was compiled with a function. By default it is as it was. */
  loss?: Loss;
  /** The metrics, if the model was compiled with functions. By default they are as they were. */
  metrics?: Metrics;
}

/** A training as it was when its checkpoint was saved. */
export interface ResumedTraining extends TrainingPosition {
  /** The model, compiled with `optimizer` if it was compiled. */
  model: tfl.LayersModel;
  /** The optimizer with its variables. Dispose of it along with the model. */
  optimizer: tf.Optimizer;
  /** The best epoch so far, and the name of its checkpoint; null if none was monitored. */
  best: BestCheckpoint | null;
  /** The path of the checkpoint that was loaded. */
  checkpoint: string;
}

const NAME = 'resume';

/**
 * Loads the newest checkpoint that `ModelCheckpoint` has saved in the folder `path`, to go on
 * as if the training had never stopped:
 *
 *     const {model, epoch} = await resume('checkpoints');
 *     await model.fit(x, y, {
 *       epochs: 20,
 *       initialEpoch: epoch,
 *       shuffle: false,
 *       callbacks: [new ModelCheckpoint({path: 'checkpoints'})],
 *     });
 *
 * The weights, the moving statistics, the variables of the optimizer, the learning rate and
 * what is frozen are those of the checkpoint, to the bit; on a backend whose kernels give the
 * same result each time, such as cpu and wasm, so is all that follows. What is not in a
 * checkpoint is up to you:
 * - the data: `fit` shuffles by a generator that can't be seeded, unless `shuffle` is false.
 *   Let a dataset's order depend on a seed and on the epoch;
 * - a checkpoint in the middle of an epoch (`everySteps`): give `fitDataset` the batches from
 *   there on, by `remainingBatches`. `fit` always begins an epoch with its first batch. The
 *   loss and metrics of the resumed epoch are means over its remaining batches;
 * - other random states (dropout without a seed), and the states of other callbacks
 *   (`EarlyStopping` starts anew).
 *
 * Classes of your own must be registered, as for `tf.loadLayersModel`.
 *
 * A checkpoint that was damaged since it was saved, by a bit or by being cut short, is known
 * by its checksums. A warning says what is wrong with it, and the one before is loaded.
 * Nothing is written or removed, so this can be used while the training goes on elsewhere.
 *
 * @throws CheckpointError if there is no checkpoint, or none that is whole; if `path` can't be
 *     read; if the loss is a function and was not given; ValueError if an argument is wrong; what
 *     `tf.loadLayersModel` throws, such as the error of a `ResBatchNorm` whose moving
 *     statistics are not finite.
 */
export async function resume(
  path: string,
  options: ResumeOptions = {},
): Promise<ResumedTraining> {
  checkText(NAME, 'path', path);
  checkArguments(NAME, options, ['which', 'loss', 'metrics']);
  const {which = 'newest', loss, metrics} = options;
  if (!['newest', 'best'].includes(which))
    throw argumentError(NAME, 'which', "'newest' or 'best'", which);
  const folder = new CheckpointFolder(path);
  const newest = await readNewest(folder, path);
  const {name, content} =
    which === 'newest' ? newest : await readBest(folder, path, newest);
  const manifest = decodeManifest(content);
  const training = await decodeTraining(content, manifest, {loss, metrics});
  const {epoch, stepInEpoch, step, best} = manifest;
  const bests = new Map([[folder.path, best]]);
  const id = manifest.training;
  setProgress(training.model, {epoch, stepInEpoch, step, training: id, bests});
  return {...training, epoch, stepInEpoch, step, best, checkpoint: folder.pathOf(name)};
}

/**
 * Whether the folder has a checkpoint, whole or not, so that `resume` has something to load.
 *
 * @throws CheckpointError if the folder can't be read, ValueError if `path` is not a string or
 *     is empty.
 */
export async function hasCheckpoints(path: string): Promise<boolean> {
  checkText('hasCheckpoints', 'path', path);
  return (await list(new CheckpointFolder(path), 'hasCheckpoints', path)).length > 0;
}

interface NamedContent {
  name: string;
  content: CheckpointContent;
}

async function list(
  folder: CheckpointFolder,
  where: string,
  path: string,
): Promise<string[]> {
  try {
    return await folder.list();
  } catch (error) {
    throw new CheckpointError(`${where}: '${path}' can't be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

async function readNewest(folder: CheckpointFolder, path: string): Promise<NamedContent> {
  const names = (await list(folder, NAME, path)).reverse();
  if (names.length === 0) {
    throw new CheckpointError(
      `${NAME}: there is no checkpoint in '${path}'. hasCheckpoints(path) tells beforehand`,
    );
  }
  const damages: string[] = [];
  for (const name of names) {
    try {
      const content = await folder.read(name);
      if (damages.length > 0)
        console.warn(`${NAME}: ${damages.join('; ')}. In its place ${name} is loaded.`);
      return {name, content};
    } catch (error) {
      if (!(error instanceof DamageError)) throw error;
      // Removed by a training that goes on, which has saved newer ones.
      if (!(await list(folder, NAME, path)).includes(name))
        return readNewest(folder, path);
      damages.push(`${folder.pathOf(name)} is damaged: ${error.message}`);
    }
  }
  throw new CheckpointError(
    `${NAME}: no checkpoint in '${path}' is whole:\n  ${damages.join('\n  ')}`,
  );
}

async function readBest(
  folder: CheckpointFolder,
  path: string,
  newest: NamedContent,
): Promise<NamedContent> {
  const {best} = decodeManifest(newest.content);
  if (best === null) {
    throw new CheckpointError(
      `${NAME}: no checkpoint in '${path}' is known as the best: the quantity to monitor ` +
        'was not in the logs of any epoch',
    );
  }
  const name = best.checkpoint;
  try {
    return {name, content: await folder.read(name)};
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    // A training that goes on removes it when it has saved a better one.
    const newer = await readNewest(folder, path);
    if (newer.name !== newest.name) return readBest(folder, path, newer);
    throw new CheckpointError(
      `${NAME}: the best checkpoint, ${folder.pathOf(name)}, is damaged: ${error.message}`,
      {cause: error},
    );
  }
}
