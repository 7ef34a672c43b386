import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers'; // Registers the gradients.

import {useBackend} from './backend.js';

/** Imports as usual, except for packages whose name matches. */
const without = (pattern: RegExp) => (specifier: string) =>
  pattern.test(specifier)
    ? Promise.reject(new Error(`Cannot find package '${specifier}'\nand more`))
    : import(specifier);

describe('useBackend', () => {
  it.each(['cpu', 'wasm'] as const)('makes %s the current backend', async name => {
    expect(await useBackend(name)).toBe(name);
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
    expect(await useBackend('auto', without(/tfjs-node/))).toBe('wasm');
    expect(await useBackend('auto', without(/tfjs-node|wasm/))).toBe('cpu');
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });

  it('passes over a backend that loads and then cannot compute', async () => {
    const broken = async (specifier: string) => {
      if (!specifier.endsWith('tfjs-node')) return without(/tfjs-node/)(specifier);
      tf.registerBackend('tensorflow', () => {
        throw new Error('wrong version of Node');
      });
    };
    const error = jest.spyOn(console, 'warn').mockImplementation();
    expect(await useBackend('auto', broken)).toBe('wasm');
    error.mockRestore();
    tf.removeBackend('tensorflow');
  });

  it('says in one line why the backend that was asked for does not load', async () => {
    const message = await useBackend('tensorflow', without(/tfjs-node/)).catch(
      error => error.message as string,
    );
    expect(message).toMatch(
      /^--backend tensorflow: .*tfjs-node-gpu or @tensorflow\/tfjs-node: Cannot find package/,
    );
    expect(message).not.toContain('\n');
    await expect(useBackend('wasm', without(/wasm/))).rejects.toThrow(
      /^--backend wasm: wasm does not load, Cannot find package/,
    );
  });
});
