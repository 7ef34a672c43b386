/** Makes a backend the current one, in Node. */
import {availableParallelism, cpus} from 'node:os';

import {loadTensorFlow, loadWebGPU} from '@resbatchnorm/native';
import * as tf from '@tensorflow/tfjs-core';

import {adapterDevice, type Device} from './backends.js';
import {AbsentError, type OpenArgs, type Opened} from './requests.js';

/** @throws AbsentError if it is not there, with what mends it. */
export async function openBackend({backend, forNetworks}: OpenArgs): Promise<Opened> {
  const cpu: Device = {kind: 'cpu', name: cpus()[0]?.model ?? 'unnamed processor'};
  switch (backend) {
    case 'cpu':
      await import('@tensorflow/tfjs-backend-cpu');
      await start('cpu');
      return {device: cpu, versions: {}, notes: ['1 thread']};
    case 'wasm': {
      const {getThreadsCount} = await import('@tensorflow/tfjs-backend-wasm');
      if (forNetworks) await import('@resbatchnorm/wasm-training');
      await start('wasm');
      const threads = getThreadsCount();
      return {
        device: cpu,
        versions: {},
        notes: [
          `${threads} thread${threads === 1 ? '' : 's'}, as tfjs runs wasm in Node`,
        ],
      };
    }
    case 'tensorflow':
    case 'tensorflow-gpu': {
      const gpu = backend === 'tensorflow-gpu' ? 'require' : 'allow';
      const {version, usesGpu} = await loadTensorFlow({gpu}).catch(throwAbsent);
      return {
        device: usesGpu ? {kind: 'gpu', name: 'GPU of TensorFlow'} : cpu,
        versions: {TensorFlow: version},
        notes: usesGpu ? [] : [`${tensorflowThreads()} threads`],
      };
    }
    case 'webgpu': {
      const {adapter} = await loadWebGPU().catch(throwAbsent);
      await start('webgpu');
      return {device: adapterDevice(adapter), versions: {}, notes: []};
    }
    default:
      throw new Error(`${backend} is no backend of Node.`);
  }
}

function tensorflowThreads(): string {
  return process.env.TF_NUM_INTRAOP_THREADS ?? String(availableParallelism());
}

async function start(name: string): Promise<void> {
  if (!(await tf.setBackend(name))) {
    throw new AbsentError(`The backend ${name} could not be initialized.`);
  }
}

function throwAbsent(error: unknown): never {
  throw error instanceof Error && error.name === 'NativeError'
    ? new AbsentError(error.message)
    : error;
}
