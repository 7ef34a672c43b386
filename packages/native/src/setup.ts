/** `resbatchnorm-native setup`: puts a current libtensorflow under tfjs-node(-gpu). */
import {mkdir, readdir, rename, rm} from 'node:fs/promises';
import {dirname, join} from 'node:path';

import {additionsSha256, buildAddon, findCompiler} from './addon_build.js';
import {
  type Environment,
  isRunning,
  prepareEnvironment,
  toEnvironment,
} from './environment.js';
import {setUpGpu, whyNoGpu} from './gpu_reasons.js';
import {NativeError, reasonOf} from './native_error.js';
import {findNvidiaDriver, type NvidiaDriver} from './nvidia_driver.js';
import {checkPlatform, type Device, thisPlatform} from './platform.js';
import {checkFitness, findPython} from './python.js';
import type {Reporter} from './reporter.js';
import {type ProbeResult, runProbe} from './run_probe.js';
import {readSetupRecord, type SetupRecord, writeSetupRecord} from './setup_record.js';
import {defaultTensorFlowVersion, readBuildInfo} from './tensorflow_installation.js';
import {requireTfjsNode, type TfjsNode} from './tfjs_node.js';

export interface SetupOptions {
  /** Default: the GPU where an NVIDIA driver answers. */
  device?: Device;
  /** Default: `defaultTensorFlowVersion`, or the one that `python` has. */
  tensorflowVersion?: string;
  /** A Python to use: with the TensorFlow it has, or to make an environment with. */
  python?: string;
}

/**
 * Until the last step nothing that is in place is touched: the environment is made and the
 * addon built beside it, tried, and then moved in by one rename.
 *
 * @throws NativeError with the remedy.
 */
export async function setUp(
  options: SetupOptions,
  reporter: Reporter,
  findDriver = findNvidiaDriver,
): Promise<void> {
  const platform = thisPlatform();
  checkPlatform(platform, options.device);
  const tfjsNode = requireTfjsNode();
  const driver = await findDriver();
  const device = options.device ?? (driver && platform.arch === 'x64' ? 'gpu' : 'cpu');
  reporter.done(
    `${tfjsNode.name} ${tfjsNode.version} in ${tfjsNode.directory}, for the ` +
      (device === 'cpu'
        ? 'CPU'
        : `GPU${driver ? '' : ', though no NVIDIA driver answers'}`),
  );
  if (await isInPlace(tfjsNode, device, options, driver, reporter)) return;
  const compiler = await findCompiler();
  const environment = await chooseEnvironment(device, options, reporter);
  await installAddon(compiler, tfjsNode, environment, device, options, driver, reporter);
}

/** Whether an earlier run did what is asked for now, and its addon runs. */
async function isInPlace(
  tfjsNode: TfjsNode,
  device: Device,
  options: SetupOptions,
  driver: NvidiaDriver | undefined,
  reporter: Reporter,
): Promise<boolean> {
  const record = readSetupRecord(tfjsNode.addonFile);
  if (!record || !fulfils(record, tfjsNode, device, options)) return false;
  reporter.start('Checking what is in place');
  const probe = await runProbe({entry: tfjsNode.entry});
  const lacksGpu = probe.ok && device === 'gpu' && driver !== undefined && !probe.usesGpu;
  if (!probe.ok || lacksGpu) {
    const reason = probe.ok ? 'it registered no GPU' : probe.reason;
    reporter.warn(`What is in place does not run (${reason}): setting it up anew`);
    return false;
  }
  warnOfMissingDriver(device, driver, reporter);
  reporter.done(`TensorFlow ${probe.tensorflowVersion} is in place: nothing to do`);
  return true;
}

export function fulfils(
  record: SetupRecord,
  tfjsNode: Pick<TfjsNode, 'version'>,
  device: Device,
  options: SetupOptions,
): boolean {
  const version =
    options.tensorflowVersion ?? (options.python ? undefined : defaultTensorFlowVersion);
  return (
    record.tfjsNodeVersion === tfjsNode.version &&
    record.additionsSha256 === additionsSha256() &&
    record.device === device &&
    record.requestedPython === options.python &&
    (version === undefined || record.tensorflowVersion === version)
  );
}

async function chooseEnvironment(
  device: Device,
  options: SetupOptions,
  reporter: Reporter,
): Promise<Environment> {
  const version = options.tensorflowVersion ?? defaultTensorFlowVersion;
  reporter.start('Looking for Python');
  const python = await findPython(options.python, version);
  const own = options.python === undefined ? undefined : toEnvironment(python);
  if (own && fits(own, device, options)) {
    reporter.done(`TensorFlow ${own.tensorflowVersion} of ${python.executable}`);
    return own;
  }
  checkFitness(python, version);
  return prepareEnvironment(python, device, version, reporter);
}

/** Whether the TensorFlow of a Python is the one that is asked for. */
function fits(
  {tensorflowVersion, tensorflowDirectory}: Environment,
  device: Device,
  options: SetupOptions,
): boolean {
  const isWanted = (options.tensorflowVersion ?? tensorflowVersion) === tensorflowVersion;
  return isWanted && (device === 'cpu' || !!readBuildInfo(tensorflowDirectory)?.isCuda);
}

async function installAddon(
  compiler: string,
  tfjsNode: TfjsNode,
  environment: Environment,
  device: Device,
  options: SetupOptions,
  driver: NvidiaDriver | undefined,
  reporter: Reporter,
): Promise<void> {
  // In the package, so that the rename stays on one file system.
  const staging = join(tfjsNode.directory, `.resbatchnorm-native.${process.pid}`);
  try {
    await checkWritable(tfjsNode.directory, staging);
    reporter.start(`Building the addon with ${compiler}`);
    const addonFile = await buildAddon(compiler, tfjsNode, environment, staging);
    reporter.done('Built the addon');
    reporter.start('Running one op');
    const probe = await runProbe({entry: tfjsNode.entry, addonFile});
    if (!probe.ok) {
      throw new NativeError(
        `The addon was built and does not run: ${probe.reason}.`,
        'Take another version with --tensorflow; what was in place before still is.',
      );
    }
    warnOfMissingDriver(device, driver, reporter);
    if (device === 'gpu' && driver) checkGpu(probe, driver, environment, options);
    await mkdir(dirname(tfjsNode.addonFile), {recursive: true});
    await rename(addonFile, tfjsNode.addonFile);
    await writeSetupRecord(tfjsNode.addonFile, {
      ...environment,
      device,
      requestedPython: options.python,
      tfjsNodeVersion: tfjsNode.version,
      additionsSha256: additionsSha256(),
    });
    reporter.done(
      `TensorFlow ${probe.tensorflowVersion} runs under ${tfjsNode.name}` +
        (probe.usesGpu ? `, on ${probe.log.gpus.map(gpu => gpu.name).join(', ')}` : ''),
    );
  } finally {
    await rm(staging, {recursive: true, force: true});
  }
}

/** No failure: an image may be built on a machine that has no GPU. */
function warnOfMissingDriver(
  device: Device,
  driver: NvidiaDriver | undefined,
  reporter: Reporter,
): void {
  if (device === 'cpu' || driver) return;
  reporter.warn('No NVIDIA driver answers: TensorFlow will run on the CPU here');
}

/** @throws NativeError if TensorFlow registered no GPU though a driver answers. */
function checkGpu(
  probe: ProbeResult & {ok: true},
  driver: NvidiaDriver,
  {python, tensorflowDirectory, tensorflowVersion}: Environment,
  options: SetupOptions,
): void {
  if (probe.usesGpu) return;
  const reasons = whyNoGpu({
    build: readBuildInfo(tensorflowDirectory),
    tensorflowVersion,
    driver,
    log: probe.log,
    visibleDevices: process.env.CUDA_VISIBLE_DEVICES,
  });
  const [{remedy}] = reasons;
  // To run setup would lead back here.
  const own = options.python
    ? `Run \`${python} -m pip install "tensorflow[and-cuda]==${tensorflowVersion}"\`.`
    : 'Take another version with --tensorflow.';
  throw new NativeError(
    reasons.map(({problem}) => problem).join(' '),
    `${remedy === setUpGpu ? own : remedy} Without a GPU: \`resbatchnorm-native setup --cpu\`.`,
  );
}

async function checkWritable(directory: string, staging: string): Promise<void> {
  try {
    for (const name of await readdir(directory)) {
      const [, pid] = /^\.resbatchnorm-native\.(\d+)$/.exec(name) ?? [];
      if (!pid || isRunning(Number(pid))) continue;
      await rm(join(directory, name), {recursive: true, force: true});
    }
    await mkdir(staging);
  } catch (error) {
    throw new NativeError(
      `${directory} cannot be written: ${reasonOf(error)}.`,
      'Run setup as the user who ran npm install.',
    );
  }
}
