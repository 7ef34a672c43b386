/** The Python environments that `setup` makes, one a version and device, for all projects. */
import {existsSync} from 'node:fs';
import {mkdir, readdir, rename, rm, statfs} from 'node:fs/promises';
import {homedir} from 'node:os';
import {dirname, isAbsolute, join} from 'node:path';

import {cudaReleaseOf, pipLibraryDirectories} from './cuda_libraries.js';
import {NativeError, reasonOf} from './native_error.js';
import {explainPipFailure, pipStage} from './pip_output.js';
import {type Device, pipRequirement} from './platform.js';
import {inspectPython, type Python} from './python.js';
import type {Reporter} from './reporter.js';
import {runProcess} from './run_process.js';
import {hasLibraryAndHeaders} from './tensorflow_installation.js';

/** Where a TensorFlow lies. */
export interface Environment {
  python: string;
  tensorflowVersion: string;
  /** The folder `tensorflow` in site-packages. */
  tensorflowDirectory: string;
}

// Installed, with pip's copies of what it downloaded.
const neededBytes: Record<Device, number> = {cpu: 2.5e9, gpu: 10e9};

/**
 * Outside of node_modules, so that it outlives `npm ci` and serves every project. To delete
 * this folder is to uninstall all that `setup` made, but for the addon in node_modules.
 */
export function cacheDirectory(
  {XDG_CACHE_HOME}: NodeJS.ProcessEnv = process.env,
  home = homedir(),
): string {
  const base =
    XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(home, '.cache');
  return join(base, 'resbatchnorm-native');
}

/**
 * Takes the environment made earlier, or makes it. It appears under its name only when it is
 * whole, so that what a broken run leaves is never used.
 *
 * @throws NativeError if it cannot be made.
 */
export async function prepareEnvironment(
  python: Python,
  device: Device,
  version: string,
  reporter: Reporter,
): Promise<Environment> {
  const cache = cacheDirectory();
  const minor = python.version.split('.').slice(0, 2).join('.');
  const name = `tensorflow-${version}-${device}-python${minor}`;
  const directory = join(cache, name);
  const earlier = await openEnvironment(directory, device);
  if (earlier) {
    reporter.done(`TensorFlow ${version} (${device}) is in ${directory}`);
    return earlier;
  }
  await makeCache(cache);
  await removeLeftovers(cache);
  const staging = join(cache, `.${name}.${process.pid}`);
  try {
    await checkSpace(cache, device);
    await install(
      staging,
      python,
      pipRequirement(device, version, process.arch),
      reporter,
    );
    // What lies there is not whole: it could not be opened above.
    await rm(directory, {recursive: true, force: true});
    await rename(staging, directory);
  } finally {
    await rm(staging, {recursive: true, force: true});
  }
  const environment = await openEnvironment(directory, device);
  if (environment) return environment;
  throw new NativeError(
    `The pip packages of TensorFlow ${version} lack libtensorflow_cc.so.2, its headers or ` +
      'a CUDA library.',
    'Take another version with --tensorflow.',
  );
}

/** Undefined unless all is there that the addon needs. */
async function openEnvironment(
  directory: string,
  device: Device,
): Promise<Environment | undefined> {
  const python = await inspectPython(join(directory, 'bin', 'python'));
  const environment = python && toEnvironment(python);
  if (!environment || device === 'cpu') return environment;
  return missingPipLibraries(environment).length === 0 ? environment : undefined;
}

/** The CUDA libraries that are not in the pip packages beside TensorFlow. */
function missingPipLibraries(environment: Environment): string[] {
  const folders = pipLibraryDirectories(dirname(environment.tensorflowDirectory));
  return cudaReleaseOf(environment.tensorflowVersion).libraries.filter(
    name => !folders.some(folder => existsSync(join(folder, name))),
  );
}

/** The TensorFlow that a Python has, if the addon can be built from it. */
export function toEnvironment(python: Python): Environment | undefined {
  const {tensorflow} = python;
  if (!tensorflow || !hasLibraryAndHeaders(tensorflow.directory)) return undefined;
  return {
    python: python.executable,
    tensorflowVersion: tensorflow.version,
    tensorflowDirectory: tensorflow.directory,
  };
}

async function install(
  directory: string,
  python: Python,
  requirement: string,
  reporter: Reporter,
): Promise<void> {
  reporter.start(`Making a Python ${python.version} environment`);
  const venv = await runProcess(python.command, ['-m', 'venv', directory]);
  if (!venv.ok) {
    const output = `${venv.stdout}${venv.stderr}`;
    if (/No space left|Errno 28/.test(output)) {
      throw explainPipFailure(output, requirement, python.version, directory);
    }
    throw new NativeError(
      `${python.command} -m venv ${venv.failure}: ${lastLine(output)}`,
      'Install the venv module of this Python (Debian and Ubuntu: ' +
        '`apt install python3-venv`), or name another Python with --python.',
    );
  }
  reporter.start(`Installing ${requirement}`);
  const pip = await runProcess(
    join(directory, 'bin', 'python'),
    // Byte code is made where it is needed: no Python runs here.
    [
      '-m',
      'pip',
      'install',
      '--no-input',
      '--no-compile',
      '--prefer-binary',
      requirement,
    ],
    {
      env: {...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1'},
      onLine: line => {
        const stage = pipStage(line);
        if (stage) reporter.update(`Installing ${requirement}: ${stage}`);
      },
    },
  );
  if (!pip.ok) {
    const output = `${pip.stdout}\n${pip.stderr}\n${pip.failure}`;
    throw explainPipFailure(output, requirement, python.version, directory);
  }
  reporter.done(`Installed ${requirement}`);
}

async function makeCache(cache: string): Promise<void> {
  try {
    await mkdir(cache, {recursive: true});
  } catch (error) {
    throw new NativeError(
      `The folder ${cache} cannot be made: ${reasonOf(error)}.`,
      'Name a folder that can be written with XDG_CACHE_HOME.',
    );
  }
}

async function checkSpace(cache: string, device: Device): Promise<void> {
  const {bavail, bsize} = await statfs(cache);
  const free = bavail * bsize;
  if (free >= neededBytes[device]) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new NativeError(
    `${gigabytes(neededBytes[device])} are needed in ${cache}, and ` +
      `${gigabytes(free)} are free.`,
    'Free some, or name a folder on another disk with XDG_CACHE_HOME.',
  );
}

/** Removes what runs left that were broken off; runs that are at work keep theirs. */
async function removeLeftovers(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const [, pid] = /^\..*\.(\d+)$/.exec(name) ?? [];
    if (!pid || isRunning(Number(pid))) continue;
    await rm(join(cache, name), {recursive: true, force: true});
  }
}

/** Whether a process of this number runs, as Linux tells it. */
export function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
