/** The backends that a run can take. A new one is added here and in options.ts. */
import * as tf from '@tensorflow/tfjs-core';

import type {BackendName} from './options.js';
import {reasonOf, UsageError} from './usage_error.js';

type Native = typeof import('@resbatchnorm/native');
type Import = (specifier: string) => Promise<unknown>;
type Loadable = Exclude<BackendName, 'auto'>;

export interface Backend {
  /** As it is shown: the name, and the device where that is not in the name. */
  title: string;
  /** Lets go of the device, without which the process would not end. */
  release(): void;
}

/** What registers the backend with TensorFlow.js, under which name, and what to show. */
interface Loaded extends Partial<Backend> {
  registeredName: string;
}

const load: Record<Loadable, (importModule: Import) => Promise<Loaded>> = {
  tensorflow: importModule => loadTensorFlow(importModule, 'allow'),
  'tensorflow-gpu': importModule => loadTensorFlow(importModule, 'require'),
  webgpu: async importModule => {
    const {loadWebGPU} = (await importModule('@resbatchnorm/native')) as Native;
    const {adapter, release} = await loadWebGPU();
    return {registeredName: 'webgpu', title: `webgpu (${adapter})`, release};
  },
  wasm: async importModule => {
    await importModule('@tensorflow/tfjs-backend-wasm');
    await importModule('@resbatchnorm/wasm-training');
    return {registeredName: 'wasm'};
  },
  cpu: async importModule => {
    await importModule('@tensorflow/tfjs-backend-cpu');
    return {registeredName: 'cpu'};
  },
};

async function loadTensorFlow(
  importModule: Import,
  gpu: 'allow' | 'require',
): Promise<Loaded> {
  const native = (await importModule('@resbatchnorm/native')) as Native;
  const {version, usesGpu} = await native.loadTensorFlow({gpu});
  const device = usesGpu ? 'GPU' : 'CPU';
  return {
    registeredName: 'tensorflow',
    title: `tensorflow (TensorFlow ${version}, ${device})`,
  };
}

const fastestFirst: Loadable[] = ['tensorflow', 'wasm', 'cpu'];

/**
 * Makes a backend the current one; `auto` takes the fastest that loads.
 *
 * @throws UsageError if the backend that was asked for does not load.
 */
export async function useBackend(
  name: BackendName,
  importModule: Import = specifier => import(specifier),
): Promise<Backend> {
  // Without it the cpu backend prints a banner that recommends another backend.
  tf.enableProdMode();
  const failures: string[] = [];
  for (const candidate of name === 'auto' ? fastestFirst : [name]) {
    try {
      const {registeredName, title, release} = await load[candidate](importModule);
      await start(registeredName);
      return {title: title ?? registeredName, release: release ?? (() => {})};
    } catch (error) {
      failures.push(`${candidate} does not load, ${reasonOf(error)}`);
    }
  }
  throw new UsageError(`--backend ${name}: ${failures.join('; ')}`);
}

async function start(backend: string): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error('its initialization failed');
  // Some builds of the native backend load on a Node they do not support, and then fail
  // in the first op.
  const [two, one] = [tf.scalar(2), tf.scalar(1)];
  const three = tf.add(two, one);
  const [value] = await three.data();
  tf.dispose([two, one, three]);
  if (value !== 3) throw new Error(`2 + 1 gave ${value}`);
}
