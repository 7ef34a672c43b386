/** Runs before each test file of a backend's project: makes the backend the current one. */
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@resbatchnorm/wasm-training';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of all ops.
import '@tensorflow/tfjs-layers';

import './matchers';

declare const backendUnderTest: string;

// Makes the engine look for leaks after every kernel, and the cpu backend not advise another
// one. The wasm backend's own fused matMul does not pass that check.
tf.env().set('IS_TEST', backendUnderTest === 'cpu');

beforeAll(async () => {
  if (!(await tf.setBackend(backendUnderTest))) {
    throw new Error(`The backend ${backendUnderTest} could not be initialized.`);
  }
});
