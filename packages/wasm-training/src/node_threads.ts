/**
 * Threads for the wasm backend in Node, where tfjs 4.22 switches them off
 * (tensorflow/tfjs#3830). In browsers it uses them by itself.
 *
 * What keeps its binary with threads from running in Node is how its workers start: from a
 * blob URL, which Node's Worker does not take, with a script that reads a second blob, whose
 * code relies on variables of the backend's bundle. While the backend starts, `Worker` is a
 * class that runs the first blob and, as the second, the backend's loader as it was before
 * bundling.
 */
import {resolveObjectURL} from 'node:buffer';
import os from 'node:os';
import {Worker} from 'node:worker_threads';

import {getThreadsCount, setThreadsCount} from '@tensorflow/tfjs-backend-wasm';
import loader from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd.js';
import * as tf from '@tensorflow/tfjs-core';

/** The most threads that the backend's binary can use. */
const MAX_THREADS = 8;

/**
 * Makes wasm with threads the current backend: `tf.setBackend('wasm')` for Node. Resolves to
 * the number of threads that it uses.
 *
 * @param threads From 1 to 8; default: one per processor core, at most 8.
 * @throws RangeError if `threads` is not such a number; Error if the wasm backend is
 *     initialized already, as its threads can no longer be chosen then, or cannot start.
 */
export async function setThreadedWasmBackend(
  threads = Math.min(os.availableParallelism(), MAX_THREADS),
): Promise<number> {
  if (!Number.isInteger(threads) || threads < 1 || threads > MAX_THREADS) {
    throw new RangeError(
      `setThreadedWasmBackend expects an integer number of threads from 1 to ` +
        `${MAX_THREADS}, but received ${threads}.`,
    );
  }
  if ('wasm' in tf.engine().registry) {
    throw new Error(
      'setThreadedWasmBackend must be called before the wasm backend is initialized, ' +
        'so in place of tf.setBackend and before tf.ready.',
    );
  }
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', true);
  setThreadsCount(threads);
  const restoreWorker = replaceWorker();
  const restoreCpus = reportCores(2 * threads);
  try {
    if (!(await tf.setBackend('wasm'))) {
      throw new Error('The wasm backend could not be initialized with threads.');
    }
  } finally {
    restoreCpus();
    restoreWorker();
    // The workers wait for work as long as the program runs; they must not keep it running.
    for (const worker of BlobWorker.started.splice(0)) worker.unref();
  }
  return getThreadsCount();
}

/**
 * Runs in the worker. It evaluates the script that the backend meant for it, and spares that
 * script the reading of the loader.
 */
const bootstrap = `
  const {workerData} = require('node:worker_threads');
  globalThis.WasmBackendModuleThreadedSimd = ${loader};
  workerData.text().then(script => {
    (0, eval)(script);
    self.importScripts = () => {};
    const receive = self.onmessage;
    self.onmessage = event => {
      if (event.data.cmd === 'load') event.data.urlOrBlob = '';
      receive(event);
    };
  });
`;

class BlobWorker extends Worker {
  static readonly started: BlobWorker[] = [];

  constructor(url: string) {
    super(bootstrap, {eval: true, workerData: resolveObjectURL(url)});
    BlobWorker.started.push(this);
  }
}

/** Makes BlobWorker the global Worker; the returned function undoes it. */
function replaceWorker(): () => void {
  const original = Object.getOwnPropertyDescriptor(globalThis, 'Worker');
  Object.defineProperty(globalThis, 'Worker', {
    configurable: true,
    get: () => BlobWorker,
    // The backend's loader sets it to Node's own class.
    set: () => {},
  });
  return () => {
    if (original == null) Reflect.deleteProperty(globalThis, 'Worker');
    else Object.defineProperty(globalThis, 'Worker', original);
  };
}

/** The backend uses at most half of the cores that Node reports. */
function reportCores(count: number): () => void {
  const {cpus} = os;
  const [core] = cpus();
  os.cpus = () => new Array<os.CpuInfo>(count).fill(core);
  return () => {
    os.cpus = cpus;
  };
}
