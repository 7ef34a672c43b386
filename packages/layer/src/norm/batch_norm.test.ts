import {
  channelMoments,
  channelOfEach,
  dot,
  finiteDifferences,
  normalValues,
  trainingReference,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {batchNormTraining} from './batch_norm.js';

const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

const cases: {shape: number[]; axis: number}[] = [
  {shape: [8, 3], axis: -1},
  {shape: [4, 5, 3], axis: 2},
  {shape: [4, 3, 5], axis: 1},
  {shape: [3, 4, 2, 3], axis: -1},
  {shape: [3, 2, 4, 3], axis: 1},
  {shape: [3, 4, 2, 3], axis: 2},
  {shape: [2, 3, 2, 2, 3], axis: 4},
  {shape: [2, 3, 2, 2, 3], axis: 1},
  {shape: [2, 3, 2, 2, 3], axis: -2},
  {shape: [2, 2, 3, 2, 2, 2], axis: 2},
  {shape: [2, 2, 1, 2, 2, 2, 3], axis: -1},
  {shape: [1, 1, 7], axis: 2},
  {shape: [9, 1], axis: 1},
];

describe.each(cases)('shape $shape, axis $axis', ({shape, axis}) => {
  const channels = shape.at(axis)!;
  const problem = {
    // Distinct statistics in each channel, so that a mixed-up axis shows.
    x: normalValues(sizeOf(shape)).map(
      (value, i) =>
        value * (1 + channelOfEach(shape, axis)[i]) + channelOfEach(shape, axis)[i],
    ),
    shape,
    axis,
    gamma: normalValues(channels, {seed: 2, mean: 1}),
    beta: normalValues(channels, {seed: 3}),
    epsilon: 1e-3,
  };
  const upstream = normalValues(sizeOf(shape), {seed: 4});

  const run = (x: tf.Tensor, gamma: tf.Tensor | null, beta: tf.Tensor | null) =>
    batchNormTraining(x, gamma as tf.Tensor1D | null, beta as tf.Tensor1D | null, {axis});

  test('equals the float64 reference', async () => {
    const {y, mean, variance} = run(
      tf.tensor(problem.x, shape),
      tf.tensor1d(problem.gamma),
      tf.tensor1d(problem.beta),
    );
    const expected = trainingReference(problem);
    expect(y.shape).toEqual(shape);
    await expect(y).toBeAllclose(expected.y, {rtol: 2e-6, atol: 2e-6});
    await expect(mean).toBeAllclose(expected.mean);
    await expect(variance).toBeAllclose(expected.variance);
  });

  test.each([
    {scale: true, center: true},
    {scale: true, center: false},
    {scale: false, center: true},
    {scale: false, center: false},
  ])(
    'gradients equal finite differences, scale $scale, center $center',
    async options => {
      const ones = new Float32Array(channels).fill(1);
      const zeros = new Float32Array(channels);
      const used = {
        ...problem,
        gamma: options.scale ? problem.gamma : ones,
        beta: options.center ? problem.beta : zeros,
      };
      const inputs = [
        tf.tensor(used.x, shape),
        ...(options.scale ? [tf.tensor1d(used.gamma)] : []),
        ...(options.center ? [tf.tensor1d(used.beta)] : []),
      ];
      const gradients = tf.grads(
        (x: tf.Tensor, ...affine: tf.Tensor[]) =>
          run(x, options.scale ? affine[0] : null, options.center ? affine.at(-1)! : null)
            .y,
      )(inputs, tf.tensor(upstream, shape));

      const loss = (change: object) =>
        dot(trainingReference({...used, ...change}).y, upstream);
      const tolerance = {rtol: 1e-4, atol: 2e-5};
      const [dx, ...dAffine] = gradients;
      await expect(dx).toBeAllclose(
        finiteDifferences(x => loss({x}), used.x),
        tolerance,
      );
      if (options.scale) {
        const expected = finiteDifferences(gamma => loss({gamma}), used.gamma);
        await expect(dAffine[0]).toBeAllclose(expected, tolerance);
      }
      if (options.center) {
        const expected = finiteDifferences(beta => loss({beta}), used.beta);
        await expect(dAffine.at(-1)!).toBeAllclose(expected, tolerance);
      }
    },
  );
});

test('the gradient can be differentiated, as a gradient penalty does', async () => {
  const shape = [5, 2];
  const x = normalValues(10, {seed: 7});
  const gamma = new Float32Array([1.5, 0.5]);
  const cubed = normalValues(10, {seed: 8});
  const network = (x: tf.Tensor) =>
    tf.sum(tf.mul(tf.square(batchNormTraining(x, tf.tensor1d(gamma), null).y), cubed2d));
  const cubed2d = tf.tensor(cubed, shape);
  const penalty = (x: tf.Tensor) => tf.sum(tf.square(tf.grad(network)(x))) as tf.Scalar;

  const float64Network = (values: ArrayLike<number>) => {
    const problem = {x: values, shape, axis: 1, gamma, beta: [0, 0], epsilon: 1e-3};
    return dot(
      trainingReference(problem).y.map(y => y * y),
      cubed,
    );
  };
  const float64Penalty = (values: ArrayLike<number>) =>
    finiteDifferences(float64Network, values, 1e-3).reduce((sum, g) => sum + g * g, 0);
  const expected = finiteDifferences(float64Penalty, x, 1e-3);
  await expect(tf.grad(penalty)(tf.tensor(x, shape))).toBeAllclose(expected, {
    rtol: 1e-3,
    atol: 1e-2,
  });
});

describe('accuracy', () => {
  test.each([
    {mean: 1e4, standardDeviation: 1},
    {mean: -1e4, standardDeviation: 1},
    {mean: 0, standardDeviation: 1e6},
    {mean: 1e6, standardDeviation: 1e3},
    {mean: 0.5, standardDeviation: 1e-2},
  ])(
    'mean $mean, standard deviation $standardDeviation',
    async ({mean, standardDeviation}) => {
      const shape = [16, 16, 16, 4];
      const x = normalValues(sizeOf(shape), {mean, standardDeviation});
      const options = {axis: -1, epsilon: 1e-3 * standardDeviation ** 2};
      const result = batchNormTraining(tf.tensor(x, shape), null, null, options);
      const {
        mean: [yMean],
        variance: [yVariance],
      } = channelMoments(await result.y.data(), [sizeOf(shape), 1], 1);
      expect(yMean).toBeCloseTo(0, 3);
      expect(Math.sqrt(yVariance * (1 + 1e-3))).toBeCloseTo(1, 3);
      const expected = channelMoments(x, shape, -1);
      await expect(result.mean).toBeAllclose(expected.mean, {
        rtol: 1e-6,
        atol: standardDeviation * 1e-6,
      });
      await expect(result.variance).toBeAllclose(expected.variance, {rtol: 1e-4});
    },
  );

  test('a mean of 10⁴ over a million values', async () => {
    const n = 1 << 20;
    const x = tf.tensor(normalValues(n, {mean: 1e4}), [n / 64, 64, 1]);
    const {y, mean, variance} = batchNormTraining(x);
    await expect(mean).toBeAllclose([1e4], {rtol: 1e-6});
    await expect(variance).toBeAllclose([1], {rtol: 5e-3});
    await expect(tf.mean(tf.mean(tf.square(y), 0))).toBeAllclose([0.999], {rtol: 1e-3});
  });

  test('gradients where the mean is 10⁴ times the standard deviation', async () => {
    const shape = [64, 2];
    const x = normalValues(128, {mean: 1e4});
    const upstream = normalValues(128, {seed: 5, mean: 1});
    const problem = {x, shape, axis: 1, gamma: [1, 2], beta: [0, 0], epsilon: 1e-3};
    const [dx, dgamma] = tf.grads(
      (x: tf.Tensor, gamma: tf.Tensor) =>
        batchNormTraining(x, gamma as tf.Tensor1D, null).y,
    )([tf.tensor(x, shape), tf.tensor1d(problem.gamma)], tf.tensor(upstream, shape));
    const loss = (change: object) =>
      dot(trainingReference({...problem, ...change}).y, upstream);
    await expect(dgamma).toBeAllclose(
      finiteDifferences(gamma => loss({gamma}), problem.gamma),
      {rtol: 1e-4, atol: 1e-3},
    );
    await expect(dx).toBeAllclose(
      finiteDifferences(values => loss({x: values}), x, 1e-2),
      {rtol: 1e-3, atol: 1e-4},
    );
  });
});

test('an empty batch gives an empty batch, and gradients of the right shapes', async () => {
  const x = tf.zeros([0, 4, 3]);
  const [dx, dgamma, dbeta] = tf.grads(
    (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
      batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D).y,
  )([x, tf.ones([3]), tf.zeros([3])], tf.zeros([0, 4, 3]));
  expect(batchNormTraining(x, null, null).y.shape).toEqual([0, 4, 3]);
  expect(dx.shape).toEqual([0, 4, 3]);
  await expect(dgamma).toBeAllclose([0, 0, 0]);
  await expect(dbeta).toBeAllclose([0, 0, 0]);
});

test('keeps nothing but its results, in the forward pass and in the gradient', () => {
  const [x, gamma, beta] = [tf.randomNormal([6, 4, 3]), tf.ones([3]), tf.zeros([3])];
  const before = tf.memory().numTensors;
  const outputs = batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D);
  expect(tf.memory().numTensors).toBe(before + 3);
  tf.dispose({...outputs});
  const gradients = tf.grads((x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
    tf.sum(batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D).y),
  )([x, gamma, beta]);
  expect(tf.memory().numTensors).toBe(before + 3);
  tf.dispose(gradients);
});

describe('wrong inputs are refused by name', () => {
  const x = () => tf.zeros([2, 3]);
  test.each<[string, () => unknown]>([
    [
      'x must be of rank 2 or more. Received: [3]',
      () => batchNormTraining(tf.zeros([3]), null, null),
    ],
    [
      'x must be float32. Received: "int32"',
      () => batchNormTraining(tf.zeros([2, 3], 'int32'), null, null),
    ],
    [
      'axis must be an integer from -2 to 1. Received: 2',
      () => batchNormTraining(x(), null, null, {axis: 2}),
    ],
    [
      'gamma must be of shape [3], one value a channel. Received: [2]',
      () => batchNormTraining(x(), tf.ones([2]), null),
    ],
    [
      'beta must be of shape [3], one value a channel. Received: [3,1]',
      () => batchNormTraining(x(), null, tf.ones([3, 1]) as unknown as tf.Tensor1D),
    ],
    [
      'gamma must be float32. Received: "int32"',
      () => batchNormTraining(x(), tf.tensor1d([1, 2, 3], 'int32'), null),
    ],
    [
      'shortcut must be of the shape of x, [2,3]. Received: [3,2]',
      () => batchNormTraining(x(), null, null, {shortcut: tf.zeros([3, 2])}),
    ],
    [
      'activation must be one of "linear", "relu", "relu6". Received: "tanh"',
      () => batchNormTraining(x(), null, null, {activation: 'tanh' as 'relu'}),
    ],
    [
      'epsilon must be a number greater than 0. Received: 0',
      () => batchNormTraining(x(), null, null, {epsilon: 0}),
    ],
  ])('%s', (message, call) => {
    expect(call).toThrow(
      expect.objectContaining({
        name: 'ValueError',
        message: `batchNormTraining: ${message}`,
      }),
    );
  });
});
