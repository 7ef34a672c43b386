/** Opens an API to the GPU: makes its backend the current one, and says how to watch its memory. */
import {openBackend} from '@resbatchnorm/tools-common/backends';
import {AbsentError} from '@resbatchnorm/tools-common/device';
import {usedMemory} from '@resbatchnorm/tools-common/nvidia_smi';
import * as tf from '@tensorflow/tfjs-core';

import type {ApiName, Device} from './report.js';

/** A quantity of GPU memory that must not grow, or why it cannot be measured. */
export interface MemoryMeter {
  name: string;
  unit: string;
  read(): Promise<number>;
}

export interface OpenApi {
  device: Device;
  memory: MemoryMeter[];
  notMeasured: string[];
}

/** @throws AbsentError if there is no such GPU, or only a software device. */
export async function openApi(api: ApiName, allowSoftware: boolean): Promise<OpenApi> {
  const backend =
    api === 'webgpu' ? api : allowSoftware ? 'tensorflow' : 'tensorflow-gpu';
  const {device, versions} = await openBackend(backend);
  const isSoftware = device.kind !== 'gpu';
  if (isSoftware && !allowSoftware) {
    throw new AbsentError(
      `The WebGPU adapter is not a GPU: ${device.name}. Allow it with --allow-software.`,
    );
  }
  const memory = api === 'webgpu' ? webgpuMemory() : await cudaMemory(!isSoftware);
  return {device: {name: device.name, isSoftware, versions}, ...memory};
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

function webgpuMemory() {
  return {
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
