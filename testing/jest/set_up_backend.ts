/** Runs before each test file of a backend's project: makes the backend the current one. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of all ops.
import '@tensorflow/tfjs-layers';

import './matchers';

declare const backendUnderTest: string;
/** Of the backend tensorflow: whether the custom ops in the addon are used. */
declare const usesCustomOps: boolean | undefined;

// Makes the engine look for leaks after every kernel, and the cpu backend not advise another
// one. The wasm backend's own fused matMul does not pass that check.
tf.env().set('IS_TEST', backendUnderTest === 'cpu');

const loaders: Record<string, () => Promise<unknown>> = {
  cpu: async () => {},
  wasm: async () => {
    await import('@tensorflow/tfjs-backend-wasm');
    await import('@resbatchnorm/wasm-training');
  },
  tensorflow: async () => {
    // TensorFlow's own notes on the processor; warnings and errors stay.
    process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
    await import('@tensorflow/tfjs-node-gpu');
    if (usesCustomOps !== false) return;
    // Which registers the flag.
    await import('@resbatchnorm/layer');
    tf.env().set('RES_BATCH_NORM_CUSTOM_OPS', false);
  },
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
};

beforeAll(async () => {
  await loaders[backendUnderTest]();
  if (!(await tf.setBackend(backendUnderTest))) {
    throw new Error(`The backend ${backendUnderTest} could not be initialized.`);
  }
});
