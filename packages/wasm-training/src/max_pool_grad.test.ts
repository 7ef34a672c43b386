import * as tf from '@tensorflow/tfjs-core';

import {Random} from '../test/random';

declare const backendUnderTest: string;

type Shape4D = [number, number, number, number];

/** The gradient of x by its definition, for windows without ties. */
function gradientByDefinition(
  x: Float32Array,
  dy: Float32Array,
  info: tf.backend_util.Conv2DInfo,
): Float64Array {
  const dx = new Float64Array(x.length);
  dy.forEach((gradient, index) => {
    const [n, h, w, c] = tf.util.indexToLoc(
      index,
      4,
      tf.util.computeStrides(info.outShape),
    );
    let largest = -1; // the index; a window in the padding has none
    for (let i = 0; i < info.filterHeight; i++) {
      for (let j = 0; j < info.filterWidth; j++) {
        const row = h * info.strideHeight + i - info.padInfo.top;
        const column = w * info.strideWidth + j - info.padInfo.left;
        if (row < 0 || row >= info.inHeight) continue;
        if (column < 0 || column >= info.inWidth) continue;
        const place =
          ((n * info.inHeight + row) * info.inWidth + column) * info.inChannels + c;
        if (largest < 0 || x[place] > x[largest]) largest = place;
      }
    }
    if (largest >= 0) dx[largest] += gradient;
  });
  return dx;
}

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
      const inputShape: Shape4D = [
        random.integer(1, 3),
        random.integer(4, 9),
        random.integer(4, 9),
        random.integer(1, 5),
      ];
      const pooling: Pooling = {
        filterSize: [random.integer(1, 4), random.integer(1, 4)],
        strides: [random.integer(1, 4), random.integer(1, 4)],
        pad: random.choice(['same', 'valid', 1] as const),
      };
      const {filterSize, strides, pad} = pooling;
      const info = tf.backend_util.computePool2DInfo(
        inputShape,
        filterSize,
        strides,
        1,
        pad,
        typeof pad === 'number' ? 'floor' : undefined,
      );
      const x = random.values(tf.util.sizeFromShape(inputShape));
      const dy = random.values(tf.util.sizeFromShape(info.outShape));
      const dx = tf.tidy(() =>
        maxPoolGrad(tf.tensor(x, inputShape), tf.tensor(dy, info.outShape), pooling),
      );
      await expect(dx).toBeAllclose(gradientByDefinition(x, dy, info));
      dx.dispose();
    }
  });
});

(backendUnderTest === 'wasm' ? it : it.skip)('refuses a dy of a wrong shape', () => {
  tf.tidy(() => {
    const input = tf.ones([1, 4, 4, 2]);
    const dy = tf.ones([1, 3, 2, 2]);
    expect(() => {
      maxPoolGrad(input, dy, halving);
    }).toThrow(
      'MaxPoolGrad expects dy to have shape [1,2,2,2], that of the output of the pooling ' +
        'of input [1,4,4,2], but received [1,3,2,2].',
    );
  });
});
