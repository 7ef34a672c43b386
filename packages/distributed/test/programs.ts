/** The programs of this folder, which the tests start as processes of their own. */
import {execFileSync} from 'node:child_process';
import {mkdirSync, mkdtempSync} from 'node:fs';
import {join, resolve} from 'node:path';

const root = resolve(__dirname, '../../..');

/** Makes a program of a TypeScript file of this folder and of the sources, in a folder of its own. */
export function bundle(source: string): {program: string; folder: string} {
  // Where Node finds the packages that stay as they are: TensorFlow.js must be one for all.
  mkdirSync(join(root, 'out'), {recursive: true});
  const folder = mkdtempSync(join(root, 'out', 'distributed-'));
  const program = join(folder, 'program.mjs');
  execFileSync(process.execPath, [
    join(root, 'node_modules/esbuild/bin/esbuild'),
    join(__dirname, source),
    '--bundle',
    '--platform=node',
    '--format=esm',
    '--external:@tensorflow/*',
    '--external:koffi',
    // They are not made for such a bundle.
    ...['--external:@aws-crypto/*', '--external:protobufjs'],
    // What the packages say of side effects is of what was built.
    '--ignore-annotations',
    // The package reads its own folder.
    `--define:__dirname=${JSON.stringify(join(root, 'packages/native'))}`,
    `--tsconfig=${join(root, 'tsconfig.json')}`,
    '--log-level=error',
    `--outfile=${program}`,
  ]);
  return {program, folder};
}

/** Runs the program as a process that has no others, for two minutes at most; what it prints. */
export function runAlone(program: string, args: string[]): string {
  const env = {...process.env, TF_CPP_MIN_LOG_LEVEL: '3'};
  const options = {env, timeout: 120_000, encoding: 'utf8'} as const;
  return execFileSync(process.execPath, [program, ...args], options);
}
