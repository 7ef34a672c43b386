/** Compiles the native addon of tfjs-node against the libtensorflow of an environment. */
import {createHash} from 'node:crypto';
import {readdirSync, readFileSync} from 'node:fs';
import {mkdir, readdir, writeFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';

import {packageDirectory} from '../package_directory.cjs';
import {cudaReleaseOf, pipLibraryDirectories} from './cuda_libraries.js';
import type {Environment} from './environment.js';
import {NativeError} from './native_error.js';
import {runProcess} from './run_process.js';
import {libraryNames} from './tensorflow_installation.js';
import {napiVersion, type TfjsNode} from './tfjs_node.js';

const compilers = ['g++', 'c++', 'clang++'];

/** @throws NativeError if there is no C++ compiler. */
export async function findCompiler(
  {CXX}: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const candidates = CXX ? [CXX] : compilers;
  for (const compiler of candidates) {
    const {ok} = await runProcess(compiler, ['--version'], {timeoutMs: 20_000});
    if (ok) return compiler;
  }
  throw new NativeError(
    `No C++ compiler was found (tried ${candidates.join(', ')}).`,
    'Install one (Debian and Ubuntu: `apt install g++`; Fedora: `dnf install gcc-c++`), ' +
      'or name one with CXX.',
  );
}

/**
 * Compiles the addon into `directory` and returns the file.
 *
 * @throws NativeError with the compiler's first error.
 */
export async function buildAddon(
  compiler: string,
  tfjsNode: TfjsNode,
  {tensorflowDirectory, tensorflowVersion}: Environment,
  directory: string,
): Promise<string> {
  await mkdir(directory, {recursive: true});
  const sources = await Promise.all(
    [join(tfjsNode.directory, 'binding'), additions].map(sourcesIn),
  );
  const preload = join(directory, 'preload_cuda.cc');
  await writeFile(
    preload,
    preloadSource(
      pipLibraryDirectories(dirname(tensorflowDirectory)),
      cudaReleaseOf(tensorflowVersion).libraries,
    ),
  );
  const output = join(directory, 'tfjs_binding.node');
  const {ok, failure, stderr} = await runProcess(
    compiler,
    compilerArguments({
      sources: [...sources.flat(), preload],
      nodeHeaders: nodeHeaders(),
      tensorflowDirectory,
      output,
    }),
  );
  if (ok) return output;
  const firstError = /^.*\b(?:error|cannot find|undefined reference)\b.*$/m.exec(stderr);
  throw new NativeError(
    `${compiler} ${failure}: ${firstError?.[0] ?? stderr.trim().split('\n')[0]}`,
    `Take another compiler with CXX (C++17 is needed), or a TensorFlow near ` +
      `${tensorflowVersion} with --tensorflow.`,
  );
}

/** What the addon gets besides what tfjs-node has in it: custom ops, and oneDNN switched on. */
const additions = join(packageDirectory, 'addon');

/** Tells apart addons with other additions, as versions of this package have. */
export function additionsSha256(): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(additions).sort()) {
    hash.update(`${name}\0`).update(readFileSync(join(additions, name)));
  }
  return hash.digest('hex');
}

async function sourcesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter(name => name.endsWith('.cc')).map(name => join(directory, name));
}

export function compilerArguments({
  sources,
  nodeHeaders,
  tensorflowDirectory,
  output,
}: {
  sources: string[];
  nodeHeaders: string;
  tensorflowDirectory: string;
  output: string;
}): string[] {
  return [
    ...['-std=c++17', '-O3', '-fPIC', '-shared', '-fvisibility=hidden'],
    // TensorFlow's headers call what they themselves deprecate.
    '-w',
    `-DNAPI_VERSION=${napiVersion([3, 4, 5, 6, 7, 8])}`,
    `-I${nodeHeaders}`,
    `-I${join(tensorflowDirectory, 'include')}`,
    ...sources,
    ...['-o', output],
    `-L${tensorflowDirectory}`,
    ...libraryNames.map(name => `-l:${name}`),
    '-ldl',
    // See addon/new_context.cc.
    ...['-Wl,--wrap=TFE_NewContext', '-Wl,--wrap=TFE_DeleteContext'],
    // The addon finds libtensorflow where pip put it, and that finds the CUDA libraries in
    // the pip packages beside it.
    `-Wl,-rpath,${tensorflowDirectory}`,
  ];
}

/**
 * A source that loads the CUDA libraries of pip packages when the addon is loaded. TensorFlow,
 * which asks for them by name alone, then gets these, be its own search path complete or not,
 * and no LD_LIBRARY_PATH is needed. One that is missing or does not load is left for
 * TensorFlow to report.
 */
export function preloadSource(directories: string[], libraries: string[]): string {
  const literals = (values: string[]) =>
    values.map(value => `    ${JSON.stringify(value)},\n`).join('');
  return `#include <dlfcn.h>
#include <string>

static const char* const directories[] = {
${literals(directories)}    nullptr};
static const char* const libraries[] = {
${literals([...libraries, ...optionalLibraries])}    nullptr};

__attribute__((constructor)) static void PreloadCuda() {
  // Without a driver TensorFlow uses none of them.
  if (!dlopen("libcuda.so.1", RTLD_LAZY)) return;
  for (const char* const* library = libraries; *library; ++library) {
    for (const char* const* directory = directories; *directory; ++directory) {
      const std::string path = std::string(*directory) + "/" + *library;
      if (dlopen(path.c_str(), RTLD_LAZY)) break;
    }
  }
}
`;
}

// cuDNN compiles some of its kernels with NVRTC; TensorFlow reduces between GPUs with NCCL.
const optionalLibraries = ['libnvrtc.so.12', 'libnccl.so.2', 'libcupti.so.12'];

function nodeHeaders(): string {
  const require = createRequire(join(packageDirectory, 'package.json'));
  return join(dirname(require.resolve('node-api-headers/package.json')), 'include');
}
