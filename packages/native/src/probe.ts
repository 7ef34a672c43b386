/**
 * Runs in a process of its own, since a native addon can take its process down: loads
 * tfjs-node, runs one op and sends what it saw to the parent.
 */
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

import {reasonOf} from './native_error.js';
import {restoreIsNullOrUndefined} from './node_fault.js';

export interface ProbeRequest {
  /** The main file of tfjs-node. */
  entry: string;
  /** An addon to load in place of the installed one. */
  addonFile?: string;
}

export type ProbeReply =
  | {
      ok: true;
      tensorflowVersion: string;
      /** Where the libtensorflow that was loaded lies. */
      libraryFile?: string;
      usesGpu: boolean;
    }
  | {ok: false; reason: string};

process.once('message', (request: ProbeRequest) => {
  process.send!(probe(request), () => process.disconnect());
});

function probe({entry, addonFile}: ProbeRequest): ProbeReply {
  restoreIsNullOrUndefined();
  const require = createRequire(entry);
  try {
    if (addonFile) replaceAddon(require, addonFile);
    const tf = require(entry);
    runOp(tf);
    const backend = tf.backend();
    return {
      ok: true,
      tensorflowVersion: backend.binding.TF_Version,
      libraryFile: loadedLibrary(),
      usesGpu: backend.isUsingGpuDevice,
    };
  } catch (error) {
    return {ok: false, reason: reasonOf(error)};
  }
}

/** tfjs-node asks this module where its addon is. */
function replaceAddon(require: NodeJS.Require, addonFile: string): void {
  const locator = require.resolve('@mapbox/node-pre-gyp');
  require(locator);
  require.cache[locator]!.exports = {find: () => addonFile};
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- typed only if installed
function runOp(tf: any): void {
  // A convolution: on a GPU it takes cuDNN, which TensorFlow can find and yet not use.
  const y = tf.conv2d(tf.ones([1, 3, 3, 1]), tf.ones([3, 3, 1, 1]), 1, 'valid');
  const [sum] = y.dataSync();
  if (sum !== 9) throw new Error(`A convolution of ones gave ${sum}, not 9`);
}

function loadedLibrary(): string | undefined {
  try {
    const maps = readFileSync('/proc/self/maps', 'utf8');
    return /\/\S.*\/libtensorflow_framework\S*/.exec(maps)?.[0];
  } catch {
    return undefined; // Not on Linux.
  }
}
