import * as tf from '@tensorflow/tfjs-core';

import {Random} from '../test/random';
import {pool, windowAxes} from '../test/reference';

interface Pooling {
  filterSize: [number, number];
  strides: [number, number];
  pad: 'same' | 'valid' | number;
}

/** The kernel's result. Its input `output` is there for other backends. */
function maxPoolGrad(input: tf.Tensor, dy: tf.Tensor, attrs: Pooling): tf.Tensor {
  const attributes: tf.NamedAttrMap = {...attrs};
  return tf.engine().runKernel(tf.MaxPoolGrad, {input, dy, output: dy}, attributes);
}

const halving: Pooling = {filterSize: [2, 2], strides: [2, 2], pad: 'valid'};

describe('the gradient of max pooling', () => {
  it('goes to the largest input though all inputs are negative', async () => {
    const x = tf.tensor4d([-3, -1, -2, -4], [1, 2, 2, 1]);
    const dx = maxPoolGrad(x, tf.tensor4d([5], [1, 1, 1, 1]), halving);
    await expect(dx).toBeAllclose([0, 5, 0, 0]);
    tf.dispose([x, dx]);
  });

  it('goes to the first of equal inputs', async () => {
    const x = tf.zeros([1, 2, 2, 1]);
    const dx = maxPoolGrad(x, tf.tensor4d([5], [1, 1, 1, 1]), halving);
    await expect(dx).toBeAllclose([5, 0, 0, 0]);
    tf.dispose([x, dx]);
  });

  it('equals its definition for 100 random poolings', async () => {
    const random = new Random(3);
    for (let i = 0; i < 100; i++) {
      const pooling: Pooling = {
        filterSize: [random.integer(1, 4), random.integer(1, 4)],
        strides: [random.integer(1, 4), random.integer(1, 4)],
        pad: random.choice(['same', 'valid', 1] as const),
      };
      const windowCase = {
        ...pooling,
        inputShape: [
          random.integer(1, 3),
          random.integer(4, 9),
          random.integer(4, 9),
          random.integer(1, 5),
        ],
        windowSizes: pooling.filterSize,
        dilations: [1, 1],
      };
      const {inputShape} = windowCase;
      const sizes = windowAxes(windowCase).map(({outSize}) => outSize);
      const outShape = [inputShape[0], ...sizes, inputShape[3]];
      const x = random.values(tf.util.sizeFromShape(inputShape));
      const dy = random.values(tf.util.sizeFromShape(outShape));
      const run = () =>
        tf.tidy(() =>
          maxPoolGrad(tf.tensor(x, inputShape), tf.tensor(dy, outShape), pooling),
        );
      // The first window lies in the padding.
      if (pooling.pad === 1 && pooling.filterSize.includes(1)) {
        expect(run).toThrow('each window to hold a value');
        continue;
      }
      const dx = run();
      await expect(dx).toBeAllclose(pool(windowCase, 'max', x, dy).dx);
      dx.dispose();
    }
  });
});

it('refuses a dy of a wrong shape', () => {
  tf.tidy(() => {
    const input = tf.ones([1, 4, 4, 2]);
    const dy = tf.ones([1, 3, 2, 2]);
    expect(() => {
      maxPoolGrad(input, dy, halving);
    }).toThrow(
      'MaxPoolGrad of the wasm backend expects dy to have shape [1,2,2,2], that of the ' +
        'output of the pooling of input [1,4,4,2]. Received: [1,3,2,2]',
    );
  });
});
