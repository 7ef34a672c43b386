/** Runs before each test file in Chromium: makes the backend of the project the current one. */
import * as tf from '@tensorflow/tfjs-core';
// Registers the gradients of all ops.
import '@tensorflow/tfjs-layers';

import '../jest/matchers';

declare const backendUnderTest: string;

const loaders: Record<string, () => Promise<unknown>> = {
  webgl: () => import('@tensorflow/tfjs-backend-webgl'),
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
};

beforeAll(async () => {
  await loaders[backendUnderTest]();
  if (!(await tf.setBackend(backendUnderTest))) {
    throw new Error(`The backend ${backendUnderTest} could not be initialized.`);
  }
});
