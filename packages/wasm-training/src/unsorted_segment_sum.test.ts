import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';

describe('unsortedSegmentSum', () => {
  it('adds the slices of each segment', async () => {
    const y = tf.tidy(() =>
      tf.unsortedSegmentSum(
        tf.tensor2d([
          [1, 2],
          [3, 4],
          [5, 6],
          [7, 8],
        ]),
        tf.tensor1d([2, 0, 2, 0], 'int32'),
        4,
      ),
    );
    expect(y.shape).toEqual([4, 2]);
    await expect(y).toBeAllclose([10, 12, 0, 0, 6, 8, 0, 0]);
    y.dispose();
  });

  it('ignores ids that are negative or too large', async () => {
    const y = tf.tidy(() =>
      tf.unsortedSegmentSum(tf.tensor1d([1, 2, 4]), tf.tensor1d([-1, 1, 2], 'int32'), 2),
    );
    await expect(y).toBeAllclose([0, 2]);
    y.dispose();
  });

  it('makes tf.gather differentiable, along any axis', async () => {
    const dx = tf.tidy(() => {
      const indices = tf.tensor1d([1, 1, 0], 'int32');
      const f = (x: tf.Tensor) => tf.sum(tf.square(tf.gather(x, indices, 1)));
      return tf.grad(f)(
        tf.tensor2d([
          [1, 2, 3],
          [4, 5, 6],
        ]),
      );
    });
    await expect(dx).toBeAllclose([2, 8, 0, 8, 20, 0]);
    dx.dispose();
  });
});

it('refuses ids of another length', () => {
  tf.tidy(() => {
    const inputs = {x: tf.ones([3, 2]), segmentIds: tf.tensor1d([0, 1], 'int32')};
    const before = tf.engine().backend.numDataIds();
    expect(() => {
      tf.engine().runKernel(tf.UnsortedSegmentSum, inputs, {numSegments: 2});
    }).toThrow(
      'UnsortedSegmentSum of the wasm backend expects segmentIds to have the shape of the ' +
        'first dimensions of x, [3,2]. Received: [2]',
    );
    expect(tf.engine().backend.numDataIds()).toBe(before);
  });
});
