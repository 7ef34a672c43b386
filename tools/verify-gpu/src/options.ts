/** The command line. */
import {
  parseOptions as parse,
  path,
  positiveNumber,
  wholeNumber,
} from '@resbatchnorm/tools-common/command_line';
import {Command, Option} from 'commander';

import {type ApiName, apiNames} from './report.js';

export interface Options {
  api: ApiName | 'all';
  steps: number;
  quick: boolean;
  out: string;
  allowSoftware: boolean;
  /** Of each process, in minutes. */
  timeLimit: number;
}

const defaultSteps = {full: 200, quick: 20};
// Of fewer, the first and the last tenth could not be compared.
const fewestSteps = 10;

// Timers hold no more than 24 days.
const mostMinutes = 1440;

function makeCommand(): Command {
  return new Command('npm run verify:gpu --')
    .description('Verifies ResBatchNorm on the GPU of this machine and writes a report.')
    .addOption(
      new Option('--api <name>', 'how to reach the GPU')
        .choices([...apiNames, 'all'])
        .default('all'),
    )
    .option(
      '--steps <n>',
      `steps of training (default: ${defaultSteps.full}; ${defaultSteps.quick} for --quick)`,
      wholeNumber(fewestSteps, 1e6),
    )
    .option('--quick', 'smaller batches, fewer sizes, steps and timings', false)
    .option('--out <file>', 'the report', path, 'out/verify_gpu.json')
    .option('--allow-software', 'a dry run without a GPU, on the CPU', false)
    .option(
      '--time-limit <minutes>',
      'of each process, two for each API',
      positiveNumber(mostMinutes),
      20,
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 all is right on a GPU, 1 something is off, 2 a wrong option, 3 no GPU\n' +
        'was found, 4 all is right, but on a software device (--allow-software).',
    );
}

/** @throws UsageError */
export function parseOptions(args: readonly string[]): Options | undefined {
  const given = parse<Options>(makeCommand(), args);
  if (!given) return undefined;
  const preset = given.quick ? defaultSteps.quick : defaultSteps.full;
  return {...given, steps: given.steps ?? preset};
}
