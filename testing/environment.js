// Node's test environment, with the typed arrays of the host. Jest gives every test file
// globals of its own, and `instanceof Float32Array`, which TensorFlow.js relies on, is then
// false for an array that came from outside: from a WebAssembly memory or a native addon.
import {TestEnvironment} from 'jest-environment-node';

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

export default class HostArraysEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    Object.assign(this.global, hostGlobals);
  }
}
