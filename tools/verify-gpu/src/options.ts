/** The command line. */
import {Command, CommanderError, InvalidArgumentError, Option} from 'commander';

import {type WayName, wayNames} from './report.js';

export interface Options {
  way: WayName | 'all';
  steps: number;
  quick: boolean;
  out: string;
  allowSoftware: boolean;
  /** Of each process, in minutes. */
  timeLimit: number;
}

/** A wrong option, in one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const defaultSteps = {full: 200, quick: 20};
// With fewer, there is no tenth to compare and no second half.
const fewestSteps = 10;

function steps(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < fewestSteps || value > 1e6) {
    throw new InvalidArgumentError(
      `Expected a whole number from ${fewestSteps} to 1,000,000.`,
    );
  }
  return value;
}

function minutes(text: string): number {
  const value = Number(text);
  // Timers hold no more than 24 days.
  if (text.trim() === '' || !(value > 0 && value <= 1440)) {
    throw new InvalidArgumentError('Expected a number of minutes above 0, at most 1440.');
  }
  return value;
}

function path(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Expected a path.');
  return text;
}

function makeCommand(): Command {
  return new Command('npm run verify:gpu --')
    .description('Verifies ResBatchNorm on the GPU of this machine and writes a report.')
    .usage('[options]')
    .addOption(
      new Option('--way <name>', 'how to reach the GPU')
        .choices([...wayNames, 'all'])
        .default('all'),
    )
    .option(
      '--steps <n>',
      `steps of training (default: ${defaultSteps.full}; ${defaultSteps.quick} for --quick)`,
      steps,
    )
    .option('--quick', 'smaller batches, fewer sizes, steps and timings', false)
    .option('--out <file>', 'the report', path, 'out/verify_gpu.json')
    .option('--allow-software', 'a dry run without a GPU, on the CPU', false)
    .option('--time-limit <minutes>', 'of each process, two for each way', minutes, 20)
    .helpOption('-h, --help', 'show this help')
    .addHelpText(
      'after',
      '\nExit codes: 0 all is right on a GPU, 1 something is off, 2 a wrong option, 3 no GPU\n' +
        'was found, 4 all is right, but on a software device (--allow-software).',
    )
    .allowExcessArguments() // reported below, by name
    .exitOverride()
    .configureOutput({outputError: () => {}});
}

/**
 * Reads the command line's arguments. Returns undefined where `--help` was asked for and has
 * been shown.
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
  const preset = given.quick ? defaultSteps.quick : defaultSteps.full;
  return {...given, steps: given.steps ?? preset};
}
