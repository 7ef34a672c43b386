/** The kernels on each build of the wasm backend, and what is special about its heap. */
import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import path from 'node:path';

import {
  type Batch,
  gradientsOf,
  largestError,
  normalize,
  normalValues,
  statisticsOf,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {setThreadedWasmBackend} from '../../../../wasm-training/src/node_threads.js';
import {batchNormTraining} from '../../norm/batch_norm.js';
import {normModule, type WasmBackend} from './module.js';

declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Memory: new (descriptor: object) => {buffer: SharedArrayBuffer};
};

const TOLERANCE = 2e-6;

/** Views with the channels last and before others, with values left over by fours or not. */
const cases = [
  {shape: [64, 16], axis: 1},
  {shape: [31, 7], axis: 1},
  {shape: [6, 5, 5, 3], axis: 3},
  {shape: [4, 3, 5, 5], axis: 1},
];

function batchOf(shape: number[], axis: number): Batch {
  return {
    x: normalValues(tf.util.sizeFromShape(shape), {seed: 1, mean: 0.5}),
    shape,
    axis,
    gamma: normalValues(shape[axis], {seed: 2}),
    beta: normalValues(shape[axis], {seed: 3}),
    epsilon: 1e-3,
  };
}

/** Forward and backward, with all that a kernel can do, against float64. */
async function check(shape: number[], axis: number) {
  const batch = batchOf(shape, axis);
  const statistics = statisticsOf(batch);
  const [shortcut, dy] = [4, 5].map(seed => normalValues(batch.x.length, {seed}));
  const norm = (...[x, gamma, beta, shortcut]: tf.Tensor[]) =>
    batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
      axis,
      shortcut,
      activation: 'relu',
    }).y;
  const inputs = [
    tf.tensor(batch.x, shape),
    tf.tensor1d(batch.gamma),
    tf.tensor1d(batch.beta),
    tf.tensor(shortcut, shape),
  ];
  const y = await norm(...inputs).data();
  const expected = normalize(batch, statistics).map((z, i) =>
    Math.max(z + shortcut[i], 0),
  );
  expect(largestError(y, expected)).toBeLessThan(TOLERANCE);

  const dz = dy.map((value, i) => (y[i] > 0 ? value : 0));
  const {dx, dgamma, dbeta} = gradientsOf(batch, statistics, dz);
  const gradients = tf.grads(norm)(inputs, tf.tensor(dy, shape));
  for (const [i, values] of [dx, dgamma, dbeta, dz].entries()) {
    expect(largestError(await gradients[i].data(), values)).toBeLessThan(TOLERANCE);
  }
}

/** A backend that has not started yet, with a heap of its own. */
function registerAnew(): void {
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
}

const moduleOfBackend = () => normModule(tf.backend() as unknown as WasmBackend);

describe('wasm', () => {
  test('binary.ts is what assembly/build.mjs makes of norm_passes.ts', () => {
    const build = path.join(__dirname, '../../../assembly/build.mjs');
    const {stdout, stderr} = spawnSync(process.execPath, [build, '--print'], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(stdout).toBe(readFileSync(path.join(__dirname, 'binary.ts'), 'utf8'));
  });

  describe('the build with SIMD', () => {
    test.each(cases)('$shape, axis $axis', async ({shape, axis}) => {
      expect(moduleOfBackend()).not.toBeNull();
      await check(shape, axis);
    });

    test('an input from another backend makes the heap grow', async () => {
      registerAnew();
      // So that the cpu backend does not advise another one.
      tf.env().set('IS_TEST', true);
      await tf.setBackend('cpu');
      // 20 MB; the heap starts with 16.
      const values = new Float32Array(5_000_000).fill(-1).fill(1, 2_500_000);
      const x = tf.tensor2d(values, [1_250_000, 4]);
      tf.env().set('IS_TEST', false);
      await tf.setBackend('wasm');
      const {y, mean, variance} = batchNormTraining(x, null, null, {epsilon: 1e-9});
      await expect(mean).toBeAllclose([0, 0, 0, 0], {atol: 1e-6});
      await expect(variance).toBeAllclose([1, 1, 1, 1], {rtol: 1e-6});
      for (const [row, value] of [
        [0, -1],
        [1_249_999, 1],
      ]) {
        const [values] = (await tf.slice(y, [row, 0], [1, 4]).array()) as number[][];
        values.forEach(actual => expect(actual).toBeCloseTo(value, 6));
      }
    });
  });

  describe('an engine without SIMD, and the build without', () => {
    beforeAll(async () => {
      jest.spyOn(WebAssembly, 'validate').mockReturnValue(false);
      tf.env().set('WASM_HAS_SIMD_SUPPORT', false);
      registerAnew();
      await tf.setBackend('wasm');
    });

    afterAll(() => jest.restoreAllMocks());

    test.each(cases)('$shape, axis $axis', async ({shape, axis}) => {
      expect(moduleOfBackend()).toBeNull();
      await check(shape, axis);
    });
  });

  describe('an engine with SIMD, but the build without', () => {
    beforeAll(async () => {
      tf.env().set('WASM_HAS_SIMD_SUPPORT', false);
      registerAnew();
      await tf.setBackend('wasm');
    });

    test.each(cases)('$shape, axis $axis', async ({shape, axis}) => {
      expect(moduleOfBackend()).not.toBeNull();
      await check(shape, axis);
    });
  });

  describe('the build with threads', () => {
    beforeAll(async () => {
      // The test environment has the host's SharedArrayBuffer, but a WebAssembly of its own,
      // and the backend checks that they belong together.
      const memory = new WebAssembly.Memory({initial: 1, maximum: 1, shared: true});
      globalThis.SharedArrayBuffer = memory.buffer
        .constructor as SharedArrayBufferConstructor;
      tf.env().set('WASM_HAS_SIMD_SUPPORT', true);
      registerAnew();
      await setThreadedWasmBackend(2);
    });

    afterAll(() => tf.removeBackend('wasm'));

    test.each(cases)('$shape, axis $axis', async ({shape, axis}) => {
      expect(moduleOfBackend()).not.toBeNull();
      await check(shape, axis);
    });
  });
});
