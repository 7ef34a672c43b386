/** Opens a way to the GPU: makes its backend the current one. */
import {loadTensorFlow, loadWebGPU} from '@resbatchnorm/native';
import * as tf from '@tensorflow/tfjs-core';

import {driverVersion, gpuName, usedMemory} from './nvidia_smi.js';
import type {Device, WayName} from './report.js';

/** One line that says why a way cannot be gone, and what mends it. */
export class AbsentError extends Error {
  override readonly name = 'AbsentError';
}

/** A quantity of GPU memory that must not grow, or why it cannot be measured. */
export interface MemoryMeter {
  name: string;
  unit: string;
  read(): Promise<number>;
}

export interface OpenWay {
  device: Device;
  memory: MemoryMeter[];
  notMeasured: string[];
}

/** @throws AbsentError if there is no such GPU, or only a software device. */
export function openWay(way: WayName, allowSoftware: boolean): Promise<OpenWay> {
  // Without it the cpu backend prints a banner that recommends another backend.
  tf.enableProdMode();
  return way === 'cuda' ? openCuda(allowSoftware) : openWebGPU(allowSoftware);
}

async function openCuda(allowSoftware: boolean): Promise<OpenWay> {
  const {version, usesGpu} = await loadTensorFlow({
    gpu: allowSoftware ? 'allow' : 'require',
  }).catch(throwAbsent);
  const driver = await driverVersion();
  const device = {
    name: usesGpu ? ((await gpuName()) ?? 'GPU without a name') : 'CPU of this machine',
    isSoftware: !usesGpu,
    versions: {TensorFlow: version, ...(driver && {driver})},
  };
  return {device, ...(await cudaMemory(usesGpu))};
}

async function cudaMemory(usesGpu: boolean) {
  const unmeasured = (why: string) => ({
    memory: [],
    notMeasured: [`GPU memory: ${why}.`],
  });
  if (!usesGpu) return unmeasured('TensorFlow uses no GPU');
  const used = await usedMemory();
  if (!used) return unmeasured('nvidia-smi does not tell it');
  const name = `memory used of the ${used.of}, by nvidia-smi`;
  const read = async () => (await usedMemory())?.mebibytes ?? NaN;
  return {memory: [{name, unit: 'MiB', read}], notMeasured: []};
}

const softwareAdapters = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i;

async function openWebGPU(allowSoftware: boolean): Promise<OpenWay> {
  const {adapter} = await loadWebGPU().catch(throwAbsent);
  const isSoftware = softwareAdapters.test(adapter);
  if (isSoftware && !allowSoftware) {
    throw new AbsentError(
      `The WebGPU adapter is no GPU: ${adapter}. Allow it with --allow-software.`,
    );
  }
  await tf.setBackend('webgpu');
  const driver = isSoftware ? undefined : await driverVersion();
  return {
    device: {name: adapter, isSoftware, versions: {...(driver && {driver})}},
    memory: [
      meter('bytes in use on the GPU', 'numBytesInGPU'),
      meter('bytes allocated on the GPU', 'numBytesAllocatedInGPU'),
    ],
    notMeasured: [],
  };
}

/** What the WebGPU backend adds to `tf.memory()`. */
function meter(name: string, key: 'numBytesInGPU' | 'numBytesAllocatedInGPU') {
  const read = async () => {
    const memory = tf.memory() as tf.MemoryInfo & Record<typeof key, number>;
    return memory[key];
  };
  return {name, unit: 'bytes', read};
}

function throwAbsent(error: unknown): never {
  throw error instanceof Error && error.name === 'NativeError'
    ? new AbsentError(error.message)
    : error;
}
