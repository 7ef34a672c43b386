// Compiles norm_passes.ts into src/kernels/wasm/binary.ts, which is committed; a test compares.
//
//     npm run assemble -w packages/layer
import {Buffer} from 'node:buffer';
import {writeFileSync} from 'node:fs';
import {fileURLToPath, URL} from 'node:url';

import asc from 'assemblyscript/asc';

const directory = fileURLToPath(new URL('.', import.meta.url));
const target = new URL('../src/kernels/wasm/binary.ts', import.meta.url);

/** The module's bytes, for a memory that is shared between threads or is not. */
async function compile(isShared) {
  const options = [
    // Nothing of its own in the memory: no runtime, no data, no messages.
    ['--runtime', 'stub'],
    ['--use', 'abort='],
    ['--noAssert'],
    // Any memory that the backend may have; one with threads must say how far it may grow.
    ['--importMemory', '--noExportMemory', '--maximumMemory', '65536'],
    ['--enable', 'simd'],
    isShared ? ['--enable', 'threads', '--sharedMemory'] : [],
    ['--optimizeLevel', '3', '--converge'],
    ['--baseDir', directory, '--outFile', 'norm_passes.wasm', 'norm_passes.ts'],
  ];
  let bytes;
  const {error, stderr} = await asc.main(options.flat(), {
    writeFile: (_name, contents) => void (bytes = contents),
  });
  if (error) throw new Error(`${error.message}\n${stderr}`);
  return bytes;
}

async function source() {
  const [unshared, shared] = [await compile(false), await compile(true)];
  const differences = [...unshared.keys()].filter(i => unshared[i] !== shared[i]);
  if (unshared.length !== shared.length || differences.length !== 1) {
    throw new Error('Not only the flags of the imported memory differ with threads.');
  }
  const lines = Buffer.from(unshared)
    .toString('base64')
    .match(/.{1,84}/g);
  const [flags] = differences;
  return `/** Made of assembly/norm_passes.ts by assembly/build.mjs. */

/** The module, for a memory that is not shared between threads, as base64. */
export const binary =
${lines.map(line => `  '${line}'`).join(' +\n')};

/** The byte that describes the memory, and its value for a memory that is shared. */
export const memoryFlags = {index: ${flags}, shared: ${shared[flags]}};
`;
}

if (process.argv.includes('--print')) process.stdout.write(await source());
else writeFileSync(target, await source());
