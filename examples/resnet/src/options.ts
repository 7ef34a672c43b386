/** The command line: every option is checked here, before anything is loaded. */
import {type BackendName, backendNames} from '@resbatchnorm/tools-common/backends';
import {
  parseOptions as parse,
  path,
  positiveNumber,
  UsageError,
  wholeNumber,
} from '@resbatchnorm/tools-common/command_line';
import {Command, InvalidArgumentError, Option} from 'commander';

import {learningRates, type NormName, normNames} from './norms.js';
import type {TrainOptions} from './train.js';

const datasetNames = ['digits', 'cifar10'] as const;

export type DatasetName = (typeof datasetNames)[number];

export interface Options extends TrainOptions {
  /** Of all replicas together; in place of batchSize, which is that of one. */
  globalBatchSize?: number;
  dataset: DatasetName;
  /** The folder of CIFAR-10's files; absent for the digits. */
  data?: string;
  /** 6n + 2 layers. */
  depth: number;
  norm: NormName;
  /** The most images to train with, and to test with. */
  limit?: number;
  backend: BackendName | 'auto';
  /** Of the initial weights, too. */
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

const deepest = 1202;

/** How many steps may be lost when the program is killed. */
export const CHECKPOINT_STEPS = 200;

function depth(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 8 || value > deepest || value % 6 !== 2) {
    throw new InvalidArgumentError(`Expected 6n+2: 8, 14, 20, 26, 32, … ${deepest}.`);
  }
  return value;
}

const count = wholeNumber(1, 1e9);

function makeCommand(): Command {
  return new Command('npm start --')
    .description(
      'Trains a ResNet, checks that every step ran the update ops of its batch-norm\n' +
        'layers, saves it, loads it back and tests it.',
    )
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
    .option(
      '--batch-size <n>',
      'images a step; of each replica if there are several',
      count,
      32,
    )
    .option(
      '--global-batch-size <n>',
      'images a step of all replicas together, in place of --batch-size',
      count,
    )
    .option(
      '--learning-rate <x>',
      `its largest value (default: ${learningRates.res}; ` +
        `${learningRates.none} for --norm none)`,
      positiveNumber(),
    )
    .option(
      '--seed <n>',
      'of the initial weights and the order of the images',
      wholeNumber(0, 2 ** 31 - 1),
      1,
    )
    .addOption(
      new Option('--backend <name>', 'auto takes the fastest that loads')
        .choices(['auto', ...backendNames])
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
    .addHelpText(
      'after',
      '\nSeveral replicas, each with a part of every batch: mpirun -np 2 npm start -- …\n' +
        '\nCtrl-C saves the model as it is and stops; a second Ctrl-C stops at once.\n' +
        '\nExit codes: 0 done, 1 failed, 2 a wrong option or broken data, 130 Ctrl-C.',
    );
}

/** @throws UsageError also for options that do not go together. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const given = parse<Options>(makeCommand(), args);
  if (!given) return undefined;
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
    learningRate: given.learningRate ?? learningRates[given.norm],
  };
}
