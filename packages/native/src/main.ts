/** The command `resbatchnorm-native`: its arguments, exit codes and error messages. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';

import {Command, Option} from 'commander';

import {packageDirectory} from '../package_directory.cjs';
import {diagnose} from './diagnosis.js';
import {formatReport} from './doctor_report.js';
import {examine} from './examine.js';
import {NativeError} from './native_error.js';
import {runProgram} from './run_program.js';
import {setUp} from './setup.js';
import {SpinnerReporter} from './spinner_reporter.js';
import {defaultTensorFlowVersion} from './tensorflow_installation.js';

const {version} = JSON.parse(
  readFileSync(join(packageDirectory, 'package.json'), 'utf8'),
);
const reporter = new SpinnerReporter();
const program = new Command('resbatchnorm-native')
  .description('A current libtensorflow under tfjs-node-gpu or tfjs-node')
  .version(version)
  .enablePositionalOptions()
  .configureOutput({outputError: (text, write) => write(text)});

program
  .command('setup')
  .description('install TensorFlow, build the addon and try it')
  .addOption(new Option('--cpu', 'for the CPU').conflicts('gpu'))
  .option('--gpu', 'for CUDA 12 (default where an NVIDIA driver answers)')
  .option(
    '--tensorflow <version>',
    `TensorFlow's version (default ${defaultTensorFlowVersion})`,
  )
  .option('--python <path>', 'a Python that has TensorFlow, or to install it with')
  .action(async ({cpu, gpu, tensorflow, python}) => {
    const device = cpu ? 'cpu' : gpu ? 'gpu' : undefined;
    await setUp({device, tensorflowVersion: tensorflow, python}, reporter);
  });

program
  .command('doctor')
  .description('tell what is installed, what is wrong and what mends it')
  .option('--json', 'as JSON')
  .action(async ({json}) => {
    const examination = await examine();
    const diagnosis = diagnose(examination);
    const text = json
      ? JSON.stringify({...examination, ...diagnosis}, null, 2)
      : formatReport(examination, diagnosis);
    process.stdout.write(`${text}\n`);
    if (diagnosis.problems.length > 0) process.exitCode = 1;
  });

program
  .command('run')
  .description('start a program with the library path that CUDA needs')
  .argument('<command...>', 'the program and its arguments, after --')
  .passThroughOptions()
  .action(async ([command, ...args]) => {
    process.exitCode = await runProgram(command, args);
  });

program.parseAsync().catch((error: unknown) => {
  reporter.fail();
  process.stderr.write(`error: ${describe(error)}\n`);
  process.exitCode = 1;
});

function describe(error: unknown): string {
  if (error instanceof NativeError) return `${error.problem}\n  ${error.remedy}`;
  // What nobody foresaw: whoever reports it needs the place.
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
