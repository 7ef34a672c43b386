/** The backends that a run can take. A new one is added here and in options.ts. */
import * as tf from '@tensorflow/tfjs-core';

import type {BackendName} from './options.js';
import {reasonOf, UsageError} from './usage_error.js';

type Import = (specifier: string) => Promise<unknown>;
type Loadable = Exclude<BackendName, 'auto'>;

/** Imports what registers the backend with TensorFlow.js under its name. */
const load: Record<Loadable, (importModule: Import) => Promise<unknown>> = {
  // Either package is optional: who wants the native backend installs it.
  tensorflow: async importModule => {
    // TensorFlow's own notes on the processor; warnings and errors stay.
    process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
    const packages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];
    const failures: string[] = [];
    for (const name of packages) {
      try {
        return await importModule(name);
      } catch (error) {
        failures.push(reasonOf(error));
      }
    }
    throw new Error(`it takes ${packages.join(' or ')}: ${failures.join('; ')}`);
  },
  wasm: importModule =>
    Promise.all([
      importModule('@tensorflow/tfjs-backend-wasm'),
      importModule('@resbatchnorm/wasm-training'),
    ]),
  cpu: importModule => importModule('@tensorflow/tfjs-backend-cpu'),
};

const fastestFirst: Loadable[] = ['tensorflow', 'wasm', 'cpu'];

/**
 * Makes a backend the current one and returns its name; `auto` takes the fastest that loads.
 *
 * @throws UsageError if the backend that was asked for does not load.
 */
export async function useBackend(
  name: BackendName,
  importModule: Import = specifier => import(specifier),
): Promise<Loadable> {
  // Without it the cpu backend prints a banner that recommends another backend.
  tf.enableProdMode();
  const failures: string[] = [];
  for (const candidate of name === 'auto' ? fastestFirst : [name]) {
    try {
      await load[candidate](importModule);
      await start(candidate);
      return candidate;
    } catch (error) {
      failures.push(`${candidate} does not load, ${reasonOf(error)}`);
    }
  }
  throw new UsageError(`--backend ${name}: ${failures.join('; ')}`);
}

async function start(backend: Loadable): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error('its initialization failed');
  // Some builds of the native backend load on a Node they do not support, and then fail
  // in the first op.
  const [two, one] = [tf.scalar(2), tf.scalar(1)];
  const three = tf.add(two, one);
  const [value] = await three.data();
  tf.dispose([two, one, three]);
  if (value !== 3) throw new Error(`2 + 1 gave ${value}`);
}
