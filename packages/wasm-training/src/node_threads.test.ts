import os from 'node:os';

import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';

import {convGradients, convOutShape, ConvCase, randomConvValues} from '../test/reference';
import {Random} from '../test/random';
import {setThreadedWasmBackend} from './node_threads';

declare const WebAssembly: {
  Memory: new (descriptor: object) => {buffer: SharedArrayBuffer};
};

describe('setThreadedWasmBackend', () => {
  it.each([0, 9, 1.5, NaN])('refuses %s threads', async threads => {
    await expect(setThreadedWasmBackend(threads)).rejects.toThrow(
      new RangeError(
        'setThreadedWasmBackend expects an integer number of threads from 1 to 8, ' +
          `but received ${threads}.`,
      ),
    );
  });

  it('refuses to come after the backend was initialized', async () => {
    await expect(setThreadedWasmBackend(2)).rejects.toThrow(
      'must be called before the wasm backend is initialized',
    );
    expect(tf.env().getBool('WASM_HAS_MULTITHREAD_SUPPORT')).toBe(false);
  });

  it('computes with threads, and leaves the globals as they were', async () => {
    // The test environment has the host's SharedArrayBuffer, but a WebAssembly of its own,
    // and the backend checks that they belong together.
    const memory = new WebAssembly.Memory({initial: 1, maximum: 1, shared: true});
    globalThis.SharedArrayBuffer = memory.buffer
      .constructor as SharedArrayBufferConstructor;
    const factory = tf.findBackendFactory('wasm');
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', factory);
    const cores = os.cpus().length;

    expect(await setThreadedWasmBackend(3)).toBe(3);

    expect(tf.getBackend()).toBe('wasm');
    expect('Worker' in globalThis).toBe(false);
    expect(os.cpus()).toHaveLength(cores);
    const convCase: ConvCase = {
      inputShape: [4, 20, 20, 8],
      filterShape: [3, 3, 8, 16],
      strides: [1, 1],
      dilations: [1, 1],
      pad: 'same',
      depthwise: false,
    };
    const values = randomConvValues(new Random(2), convCase);
    const expected = convGradients(convCase, values);
    const [dx, dFilter] = tf.tidy(() => {
      const conv = (x: tf.Tensor, filter: tf.Tensor) =>
        tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same');
      const x = tf.tensor(values.x, convCase.inputShape);
      const filter = tf.tensor(values.filter, convCase.filterShape);
      const dy = tf.tensor(values.dy, convOutShape(convCase));
      return tf.grads(conv)([x, filter], dy);
    });
    await expect(dx).toBeAllclose(expected.dx, {rtol: 1e-5, atol: 1e-5});
    await expect(dFilter).toBeAllclose(expected.dFilter, {rtol: 1e-5, atol: 1e-4});
    tf.dispose([dx, dFilter]);
    tf.removeBackend('wasm');
  });
});
