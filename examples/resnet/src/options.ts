/** The command line: every option is checked here, before anything is loaded. */
import {Command, CommanderError, InvalidArgumentError, Option} from 'commander';

import {UsageError} from './usage_error.js';

export const datasetNames = ['digits', 'cifar10'] as const;
export const backendNames = [
  'auto',
  'wasm',
  'cpu',
  'tensorflow',
  'tensorflow-gpu',
  'webgpu',
] as const;
export const normNames = ['res', 'builtin', 'none'] as const;

export type DatasetName = (typeof datasetNames)[number];
export type BackendName = (typeof backendNames)[number];
export type NormName = (typeof normNames)[number];

export interface Options {
  dataset: DatasetName;
  /** The folder of CIFAR-10's files; absent for the digits. */
  data?: string;
  /** 6n + 2 layers. */
  depth: number;
  norm: NormName;
  epochs: number;
  batchSize: number;
  /** The largest learning rate, from which the schedule goes down to 0. */
  learningRate: number;
  /** At most so many training images and so many test images. */
  limit?: number;
  backend: BackendName;
  seed: number;
  out: string;
  /** The folder for TensorBoard's event files. */
  tensorboard?: string;
  /** The folder for checkpoints. */
  checkpoint?: string;
  /** Whether to go on from the last checkpoint. */
  resume: boolean;
  /** Whether to compare training mode and inference mode after each epoch. */
  checkGap: boolean;
}

const defaultEpochs: Record<DatasetName, number> = {digits: 3, cifar10: 60};

// Without a norm a residual network diverges at the usual rate.
const defaultLearningRate: Record<NormName, number> = {
  res: 0.1,
  builtin: 0.1,
  none: 0.01,
};

const deepest = 1202;

/** How many steps may be lost when the program is killed. */
export const CHECKPOINT_STEPS = 200;

function wholeNumber(least: number, most: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(
        `Expected a whole number from ${least} to ${most.toLocaleString('en')}.`,
      );
    }
    return value;
  };
}

function depth(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 8 || value > deepest || value % 6 !== 2) {
    throw new InvalidArgumentError(`Expected 6n+2: 8, 14, 20, 26, 32, … ${deepest}.`);
  }
  return value;
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0) {
    throw new InvalidArgumentError('Expected a number above 0.');
  }
  return value;
}

function path(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Expected a path.');
  return text;
}

const count = wholeNumber(1, 1e9);

function makeCommand(): Command {
  return new Command('npm start --')
    .description(
      'Trains a ResNet, checks that every step ran the update ops of its batch-norm\n' +
        'layers, saves it, loads it back and tests it.',
    )
    .usage('[options]')
    .optionsGroup('Data:')
    .addOption(
      new Option('--dataset <name>', 'what to learn')
        .choices(datasetNames)
        .default('digits'),
    )
    .option('--data <dir>', "folder of CIFAR-10's binary files, for cifar10", path)
    .option('--limit <n>', 'use at most n training and n test images', count)
    .optionsGroup('Model:')
    .option('--depth <n>', 'number of layers, 6n+2: 8, 14, 20, 32, …', depth, 8)
    .addOption(
      new Option('--norm <name>', 'ResBatchNorm, tf.layers.batchNormalization or none')
        .choices(normNames)
        .default('res'),
    )
    .optionsGroup('Training:')
    .option(
      '--epochs <n>',
      `passes over the training images (default: ${defaultEpochs.digits} for digits, ` +
        `${defaultEpochs.cifar10} for cifar10)`,
      count,
    )
    .option('--batch-size <n>', 'images a step', count, 32)
    .option(
      '--learning-rate <x>',
      `its largest value (default: ${defaultLearningRate.res}; ` +
        `${defaultLearningRate.none} for --norm none)`,
      positiveNumber,
    )
    .option(
      '--seed <n>',
      'of the initial weights and the order of the images',
      wholeNumber(0, 2 ** 31 - 1),
      1,
    )
    .addOption(
      new Option('--backend <name>', 'auto takes the fastest that loads')
        .choices(backendNames)
        .default('auto'),
    )
    .optionsGroup('Result:')
    .option('--out <dir>', 'folder that the model is saved in', path, 'out')
    .optionsGroup('On the way:')
    .option(
      '--tensorboard <dir>',
      'folder for event files: loss, accuracy, moving statistics',
      path,
    )
    .option(
      '--checkpoint <dir>',
      `folder for checkpoints, one an epoch and one every ${CHECKPOINT_STEPS} steps`,
      path,
    )
    .option('--resume', 'go on from the last checkpoint in --checkpoint', false)
    .option(
      '--check-gap',
      'warn where inference mode is much worse than training mode on the same images',
      false,
    )
    .optionsGroup('Other:')
    .helpOption('-h, --help', 'show this help')
    .addHelpText(
      'after',
      '\nCtrl-C saves the model as it is and stops; a second Ctrl-C stops at once.\n' +
        '\nExit codes: 0 done, 1 failed, 2 a wrong option or broken data, 130 Ctrl-C.',
    )
    .allowExcessArguments() // reported below, by name
    .exitOverride()
    .configureOutput({outputError: () => {}});
}

/**
 * Reads the command line's arguments (without Node's and the program's path).
 *
 * Returns undefined where `--help` was asked for and has been shown.
 *
 * @throws UsageError if an option is unknown, incomplete or out of its range.
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const command = makeCommand();
  try {
    command.parse(args, {from: 'user'});
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '));
  }
  const [extra] = command.args;
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}'`);
  const given = command.opts<Options>();
  if (given.dataset === 'cifar10' && given.data === undefined) {
    throw new UsageError(
      "--dataset cifar10 needs --data, the folder of CIFAR-10's files.",
    );
  }
  if (given.dataset !== 'cifar10' && given.data !== undefined) {
    throw new UsageError(
      `--data is for --dataset cifar10 only; the dataset is ${given.dataset}.`,
    );
  }
  if (given.resume && given.checkpoint === undefined) {
    throw new UsageError('--resume needs --checkpoint, the folder of the checkpoints.');
  }
  const watching = given.checkGap ? '--check-gap' : '--tensorboard';
  if (given.norm === 'none' && (given.checkGap || given.tensorboard !== undefined)) {
    throw new UsageError(`${watching} watches batch norms; --norm none has none.`);
  }
  return {
    ...given,
    epochs: given.epochs ?? defaultEpochs[given.dataset],
    learningRate: given.learningRate ?? defaultLearningRate[given.norm],
  };
}
