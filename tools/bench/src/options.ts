/** The command line: every option is checked here, before anything is loaded. */
import {backendNames as nodeBackendNames} from '@resbatchnorm/tools-common/backends';
import {
  listOf,
  parseOptions as parse,
  path,
  UsageError,
} from '@resbatchnorm/tools-common/command_line';
import {Command, InvalidArgumentError, Option} from 'commander';

import {isSameShape, normShapes, quickShapes, shapeName} from './cases.js';
import type {BackendName} from './requests.js';

export const backendNames: readonly BackendName[] = [
  ...nodeBackendNames,
  'chromium-webgl',
  'chromium-webgpu',
];

export const partNames = [
  'norm',
  'accuracy',
  'dispatch',
  'inference',
  'step',
  'memory',
  'callbacks',
  'distributed',
] as const;
export type PartName = (typeof partNames)[number];

export interface Options {
  backend: readonly BackendName[];
  shape: readonly (readonly number[])[];
  only: readonly PartName[];
  quick: boolean;
  /** Where Keras and PyTorch are looked for; absent: where they may be. */
  python?: string[];
  out: string;
  json: boolean;
}

/** Those that train whole networks. */
const trainingParts: readonly PartName[] = ['step', 'memory', 'callbacks', 'distributed'];

function shape(text: string): number[] {
  const sizes = text
    .split(/[x×,]/)
    .map(size => (/^\d+$/.test(size) ? Number(size) : NaN));
  const isShape =
    (sizes.length === 2 || sizes.length === 4) &&
    sizes.every(size => size >= 1) &&
    sizes.reduce((a, b) => a * b, 1) <= 2 ** 26;
  if (!isShape) {
    throw new InvalidArgumentError(
      'Expected a shape of 2 or 4 sizes, such as 32x8x8x64, with at most 2^26 values.',
    );
  }
  return sizes;
}

function makeCommand(): Command {
  return new Command('npm run bench --')
    .description(
      'Measures ResBatchNorm against tf.layers.batchNormalization, Keras and PyTorch, in turns,\n' +
        'and writes a table, a report in JSON and a chart.',
    )
    .addOption(
      new Option('--backend <name...>', 'one or more (default: all)').choices(
        backendNames,
      ),
    )
    .option(
      '--shape <sizes...>',
      `of the norm, one or more, channels last (default: ${normShapes.map(shapeName).join(', ')})`,
      listOf(shape),
    )
    .addOption(
      new Option('--only <part...>', 'one or more parts (default: all)').choices(
        partNames,
      ),
    )
    .option(
      '--quick',
      'few repetitions, two shapes, no training of whole networks',
      false,
    )
    .option(
      '--python <path...>',
      'one or more that have keras or torch (default: the one of `resbatchnorm-native setup`, ' +
        'and python3)',
      listOf(path),
    )
    .option('--out <dir>', 'folder of bench.json and bench.svg', path, 'out/bench')
    .option('--json', 'print the report instead of the table', false)
    .addHelpText(
      'after',
      '\nWhat is not there to be measured is named in the last lines.\n' +
        '\nExit codes: 0 done, 1 something failed, 2 a wrong option.',
    );
}

/** @throws UsageError also for options that do not go together. */
export function parseOptions(args: readonly string[]): Options | undefined {
  type Given = Partial<Options> & Pick<Options, 'quick' | 'out' | 'json'>;
  const given = parse<Given>(makeCommand(), args);
  if (!given) return undefined;
  const parts = given.only ?? partNames;
  const only = parts.filter(part => !given.quick || !trainingParts.includes(part));
  if (only.length === 0) {
    throw new UsageError(`--quick trains no whole networks: --only ${parts.join(' ')}`);
  }
  return {
    ...given,
    backend: [...new Set(given.backend ?? backendNames)],
    shape: withoutRepeats(given.shape ?? (given.quick ? quickShapes : normShapes)),
    only,
  };
}

function withoutRepeats(shapes: Options['shape']): Options['shape'] {
  return shapes.filter((a, i) => shapes.findIndex(b => isSameShape(a, b)) === i);
}
