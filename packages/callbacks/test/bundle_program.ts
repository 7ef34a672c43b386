/** Makes a program of a TypeScript file of this folder, to be run by Node. */
import {execFileSync} from 'node:child_process';
import {join, resolve} from 'node:path';

const root = resolve(__dirname, '../../..');

export function bundleProgram(source: string, program: string): void {
  execFileSync(process.execPath, [
    join(root, 'node_modules/esbuild/bin/esbuild'),
    join(__dirname, source),
    '--bundle',
    // Importing a backend is what registers it.
    '--ignore-annotations',
    '--platform=node',
    '--log-level=error',
    `--tsconfig=${join(root, 'tsconfig.json')}`,
    `--outfile=${program}`,
  ]);
}
