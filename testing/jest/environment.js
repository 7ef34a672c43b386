// Node's test environment, with what a backend needs from outside of it.
//
// Jest gives every test file globals of its own, and `instanceof Float32Array`, which
// TensorFlow.js relies on, is then false for an array that came from outside: from a
// WebAssembly memory or a native addon. So the tests get the typed arrays of the host.
import {TestEnvironment} from 'jest-environment-node';

import {vulkanDriver} from './backends.js';

const hostGlobals = {
  ArrayBuffer,
  SharedArrayBuffer,
  Float32Array,
  Float64Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Uint8Array,
  Uint8ClampedArray,
  Uint16Array,
  Uint32Array,
};

let loaded;

/** One for all test files: Dawn does not survive a second one after the first has gone. */
function webgpu() {
  Object.assign(process.env, vulkanDriver());
  loaded ??= import('webgpu').then(({create, globals}) => ({gpu: create([]), globals}));
  return loaded;
}

export default class BackendEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.backend = config.projectConfig.globals.backendUnderTest;
    Object.assign(this.global, hostGlobals);
  }

  async setup() {
    await super.setup();
    // Else NVIDIA's libraries round the factors of matrix products and convolutions to 10 bits.
    if (this.backend === 'tensorflow') process.env.NVIDIA_TF32_OVERRIDE ??= '0';
    if (this.backend !== 'webgpu') return;
    const {gpu, globals} = await webgpu();
    Object.assign(this.global, globals);
    Object.defineProperty(this.global, 'navigator', {configurable: true, value: {gpu}});
  }
}
