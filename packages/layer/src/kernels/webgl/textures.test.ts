/** What tensors look like on the device must not matter. */
import {
  gradientsOf,
  largestError,
  normalize,
  normalValues,
  statisticsOf,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {batchNormTraining} from '../../norm/batch_norm.js';

const tensors: Record<string, (values: Float32Array, shape: number[]) => tf.Tensor> = {
  'not uploaded yet': (values, shape) => tf.tensor(values, shape),
  // The result of a reduction is in an unpacked texture.
  'in an unpacked texture': (values, shape) =>
    tf.sum(tf.tensor(values, [...shape, 1]), shape.length),
  // A part of an unpacked texture is no texture of its own.
  'in a part of an unpacked texture': (values, shape) => {
    const [first, ...rest] = shape;
    const all = tf.concat([tf.zeros(shape), tf.tensor(values, shape)]);
    const unpacked = tf.sum(tf.reshape(all, [2 * first, ...rest, 1]), shape.length);
    return tf.slice(unpacked, [first, ...rest.map(() => 0)], shape);
  },
  'in a packed texture': (values, shape) => tf.neg(tf.neg(tf.tensor(values, shape))),
  'in a texture made for another shape': (values, shape) => {
    const [rows, columns] = shape.slice(-2);
    const made = tf.neg(
      tf.neg(tf.tensor(values, [values.length / rows / columns, rows, columns])),
    );
    return tf.reshape(made, shape);
  },
};

describe.each(Object.keys(tensors))('x, dy and shortcut %s', name => {
  test.each([
    {shape: [6, 5, 4, 6], axis: 3},
    {shape: [3, 6, 5, 7], axis: 3},
    {shape: [3, 6, 5, 7], axis: 1},
    {shape: [4, 6, 10], axis: 1},
    // So long that the rows of a texture are not those of the matrices.
    {shape: [128, 128, 4, 2], axis: 3},
  ])('shape $shape, axis $axis', async ({shape, axis}) => {
    const size = tf.util.sizeFromShape(shape);
    const channels = shape[axis];
    const batch = {
      x: normalValues(size, {seed: 1, mean: 0.5}),
      shape,
      axis,
      gamma: normalValues(channels, {seed: 2, mean: 2}),
      beta: normalValues(channels, {seed: 3, mean: 1}),
      epsilon: 1e-3,
    };
    const statistics = statisticsOf(batch);
    const dy = normalValues(size, {seed: 4});
    const shortcut = normalValues(size, {seed: 5});
    const norm = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, shortcut: tf.Tensor) =>
      batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, {axis, shortcut}).y;
    const {value, grads} = tf.valueAndGrads(norm)(
      [
        tensors[name](batch.x, shape),
        tf.tensor1d(batch.gamma),
        tf.tensor1d(batch.beta),
        tensors[name](shortcut, shape),
      ],
      tensors[name](dy, shape),
    );
    const y = normalize(batch, statistics).map((z, i) => z + shortcut[i]);
    const expected = gradientsOf(batch, statistics, dy);
    expect(largestError(await value.data(), y)).toBeLessThan(2e-6);
    expect(largestError(await grads[0].data(), expected.dx)).toBeLessThan(2e-6);
    // Sums in which the terms cancel.
    expect(largestError(await grads[1].data(), expected.dgamma)).toBeLessThan(2e-5);
    expect(largestError(await grads[2].data(), expected.dbeta)).toBeLessThan(2e-5);
  });
});
