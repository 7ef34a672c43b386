/** The command line: every option is checked here, before anything is loaded. */
import {Command, CommanderError, InvalidArgumentError, Option} from 'commander';

import {type BackendName, backendNames} from './backends.js';
import {isSameShape, normShapes, quickShapes, shapeName} from './shapes.js';

export const partNames = ['norm', 'accuracy', 'step', 'memory', 'callbacks'] as const;
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

/** A wrong option, in one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const networkParts: readonly PartName[] = ['step', 'memory', 'callbacks'];

/** Collects what an option is given one or more times. */
function shape(text: string, previous: number[][] = []): number[][] {
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
  return [...previous, sizes];
}

function path(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Expected a path.');
  return text;
}

function paths(text: string, previous: string[] = []): string[] {
  return [...previous, path(text)];
}

function makeCommand(): Command {
  return new Command('npm run bench --')
    .description(
      'Measures ResBatchNorm against tf.layers.batchNormalization, Keras and PyTorch, in turns,\n' +
        'and writes a table, a report in JSON and a chart.',
    )
    .usage('[options]')
    .addOption(
      new Option('--backend <name...>', 'one or more (default: all)').choices(
        backendNames,
      ),
    )
    .option(
      '--shape <sizes...>',
      `of the norm, one or more, channels last (default: ${normShapes.map(shapeName).join(', ')})`,
      shape,
    )
    .addOption(
      new Option('--only <part...>', 'one or more parts (default: all)').choices(
        partNames,
      ),
    )
    .option('--quick', 'few repetitions, two shapes, no whole networks', false)
    .option(
      '--python <path...>',
      'one or more that have keras or torch (default: the one of `resbatchnorm-native setup`, ' +
        'and python3)',
      paths,
    )
    .option('--out <dir>', 'folder of bench.json and bench.svg', path, 'out/bench')
    .option('--json', 'print the report instead of the table', false)
    .helpOption('-h, --help', 'show this help')
    .addHelpText(
      'after',
      '\nWhat is not there to be measured is named in the last lines.\n' +
        '\nExit codes: 0 done, 1 something failed, 2 a wrong option.',
    )
    .allowExcessArguments() // reported below, by name
    .exitOverride()
    .configureOutput({outputError: () => {}});
}

/**
 * Reads the command line's arguments (without Node's and the program's path). Returns undefined
 * where `--help` was asked for and has been shown.
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
  const given = command.opts<
    Partial<Options> & Pick<Options, 'quick' | 'out' | 'json'>
  >();
  const parts = given.only ?? partNames;
  const only = parts.filter(part => !given.quick || !networkParts.includes(part));
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
