/** Goes on with a training from its last checkpoint. */
import {hasCheckpoints, resume, type ResumedTraining} from '@resbatchnorm/callbacks/node';
import {UsageError} from '@resbatchnorm/tools-common/command_line';
import type * as tfl from '@tensorflow/tfjs-layers';

import type {Options} from './options.js';

/** The options that all of a training has to have in common. */
const lasting = [
  'dataset',
  'depth',
  'norm',
  'epochs',
  'batchSize',
  'learningRate',
  'limit',
  'seed',
] as const satisfies (keyof Options)[];

/** What is saved with the model to know the training by. */
export function trainingOptions(options: Options): Record<string, unknown> {
  return Object.fromEntries(lasting.map(name => [name, options[name] ?? null]));
}

/**
 * The training to go on with; undefined where a new one is to begin.
 *
 * @throws UsageError if there is no checkpoint to resume, if it is of a training with other
 *     options, or if a new training would replace checkpoints.
 */
export async function resumedTraining(
  options: Options,
): Promise<ResumedTraining | undefined> {
  const {checkpoint} = options;
  if (checkpoint === undefined) return undefined;
  const isThere = await hasCheckpoints(checkpoint);
  if (!options.resume) {
    if (!isThere) return undefined;
    throw new UsageError(
      `--checkpoint ${checkpoint} holds checkpoints: go on from them with --resume, or ` +
        'name another folder.',
    );
  }
  if (!isThere) {
    throw new UsageError(
      `--resume: there is no checkpoint in ${checkpoint}. Begin without --resume.`,
    );
  }
  const training = await resume(checkpoint);
  checkSameOptions(training.model, options);
  return training;
}

function checkSameOptions(model: tfl.LayersModel, options: Options): void {
  const {training} = model.getUserDefinedMetadata() as {
    training?: Record<string, unknown>;
  };
  for (const [name, value] of Object.entries(trainingOptions(options))) {
    if (training?.[name] === value) continue;
    const option = name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
    throw new UsageError(
      `--resume: --${option} must be that of the checkpoint, ${training?.[name]}. ` +
        `Received: ${value}.`,
    );
  }
}
