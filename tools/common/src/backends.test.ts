import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // Registers the gradients.

import {useBackend} from './backends.js';

/** Imports as usual, except for packages whose name matches. */
const without = (pattern: RegExp) => (specifier: string) =>
  pattern.test(specifier)
    ? Promise.reject(new Error(`Cannot find package '${specifier}'\nand more`))
    : import(specifier);

describe('useBackend', () => {
  it.each(['cpu', 'wasm'] as const)('makes %s the current backend', async name => {
    expect((await useBackend(name)).title).toBe(name);
    expect(tf.getBackend()).toBe(name);
  });

  it('lets wasm train convolutions', async () => {
    await useBackend('wasm');
    const x = tf.ones<tf.Rank.R4>([1, 4, 4, 1]);
    const dw = tf.grad(w => tf.sum(tf.conv2d(x, w as tf.Tensor4D, 1, 'valid')));
    expect(await dw(tf.ones([3, 3, 1, 1])).data()).toEqual(new Float32Array(9).fill(4));
  });

  it('takes the fastest that loads for auto, in silence', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation();
    expect((await useBackend('auto', {importModule: without(/native/)})).title).toBe(
      'wasm',
    );
    expect((await useBackend('auto', {importModule: without(/native|wasm/)})).title).toBe(
      'cpu',
    );
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('passes over a backend that loads and then cannot compute', async () => {
    const broken = async (specifier: string) => {
      if (specifier !== '@resbatchnorm/native') return import(specifier);
      const loadTensorFlow = async () => {
        tf.registerBackend('tensorflow', () => {
          throw new Error('wrong version of Node');
        });
        return {packageName: 'tfjs-node', version: '2.9.1', usesGpu: false};
      };
      return {loadTensorFlow};
    };
    const error = jest.spyOn(console, 'warn').mockImplementation();
    expect((await useBackend('auto', {importModule: broken})).title).toBe('wasm');
    error.mockRestore();
    tf.removeBackend('tensorflow');
  });

  it('shows which TensorFlow and device it is', async () => {
    const cpu = await import('@tensorflow/tfjs-backend-cpu');
    const native = async () => {
      const loadTensorFlow = async ({gpu}: {gpu: string}) => {
        tf.registerBackend('tensorflow', () => new cpu.MathBackendCPU());
        tf.copyRegisteredKernels('cpu', 'tensorflow');
        return {
          packageName: 'tfjs-node-gpu',
          version: '2.20.0',
          usesGpu: gpu === 'require',
        };
      };
      return {loadTensorFlow};
    };
    const {title} = await useBackend('tensorflow', {importModule: native});
    expect(title).toBe('tensorflow (TensorFlow 2.20.0, CPU)');
    tf.removeBackend('tensorflow');
  });

  it('does not take the CPU for the GPU that was asked for', async () => {
    const native = async () => ({
      loadTensorFlow: async ({gpu}: {gpu: string}) => {
        throw new Error(`TensorFlow uses no GPU, and gpu is ${gpu}.`);
      },
    });
    await expect(useBackend('tensorflow-gpu', {importModule: native})).rejects.toThrow(
      '--backend tensorflow-gpu: tensorflow-gpu does not load, ' +
        'TensorFlow uses no GPU, and gpu is require.',
    );
  });

  it('says in one line why the backend that was asked for does not load', async () => {
    const message = await useBackend('webgpu', {importModule: without(/native/)}).catch(
      error => error.message as string,
    );
    expect(message).toBe(
      "--backend webgpu: webgpu does not load, Cannot find package '@resbatchnorm/native'",
    );
    await expect(useBackend('wasm', {importModule: without(/wasm/)})).rejects.toThrow(
      /^--backend wasm: wasm does not load, Cannot find package/,
    );
  });
});
