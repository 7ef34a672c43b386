/**
 * What the backend does on a GPU, with TensorFlow told that it has one. On a CPU the same ops
 * compute it, so all is checked but cuDNN.
 */
import {
  gradientsOf,
  largestError,
  normalize,
  normalValues,
  statisticsOf,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {batchNormTraining} from '../../norm/batch_norm.js';
import type {TensorFlowBackend} from './ops.js';

const TOLERANCE = 2e-6;
let backend: TensorFlowBackend;

beforeEach(() => {
  backend = tf.backend() as unknown as TensorFlowBackend;
  jest.replaceProperty(backend, 'isUsingGpuDevice', true);
});

afterEach(() => {
  jest.restoreAllMocks();
});

function makeBatch(shape: number[], axis: number, mean: number) {
  const channels = shape[axis];
  return {
    x: normalValues(tf.util.sizeFromShape(shape), {seed: 1, mean}),
    shape,
    axis,
    gamma: normalValues(channels, {seed: 2, mean: 2}),
    beta: normalValues(channels, {seed: 3, mean: 1}),
    epsilon: 1e-3,
  };
}

type Batch = ReturnType<typeof makeBatch>;

const tensorsOf = ({x, shape, gamma, beta}: Batch) =>
  [tf.tensor(x, shape), tf.tensor1d(gamma), tf.tensor1d(beta)] as const;

function gradients({axis, epsilon}: Batch, tensors: tf.Tensor[], dy: tf.Tensor) {
  const norm = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
    batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, {axis, epsilon}).y;
  return tf.grads(norm)(tensors, dy);
}

describe.each([
  {shape: [64, 5], axis: 1},
  {shape: [4, 6, 5], axis: 1},
  {shape: [4, 5, 3, 7], axis: 3},
  {shape: [4, 7, 3, 5], axis: 1},
  {shape: [3, 4, 5, 6], axis: 2},
  {shape: [2, 3, 4, 5, 6], axis: 4},
  {shape: [2, 6, 3, 4, 5], axis: 1},
  {shape: [2, 2, 1, 2, 2, 2, 3], axis: 6},
])('shape $shape, axis $axis', ({shape, axis}) => {
  test.each([0.5, 100, 1e4])('no digits are lost to a mean of %d', async mean => {
    const batch = makeBatch(shape, axis, mean);
    const tensors = tensorsOf(batch);
    const expected = statisticsOf(batch);
    const output = batchNormTraining(...tensors, {axis, epsilon: batch.epsilon});
    const errorOf = async (tensor: tf.Tensor, values: ArrayLike<number>) =>
      largestError(await tensor.data(), values);
    expect(await errorOf(output.y, normalize(batch, expected))).toBeLessThan(TOLERANCE);
    expect(await errorOf(output.mean, expected.mean)).toBeLessThan(TOLERANCE);
    expect(await errorOf(output.variance, expected.variance)).toBeLessThan(TOLERANCE);

    const dy = normalValues(batch.x.length, {seed: 4, mean: 0.5});
    const [dx, dgamma, dbeta] = gradients(batch, [...tensors], tf.tensor(dy, shape));
    const expectedGradients = gradientsOf(batch, expected, dy);
    expect(await errorOf(dx, expectedGradients.dx)).toBeLessThan(TOLERANCE);
    expect(await errorOf(dgamma, expectedGradients.dgamma)).toBeLessThan(1e-5);
    expect(await errorOf(dbeta, expectedGradients.dbeta)).toBeLessThan(TOLERANCE);
  });
});

describe('the ops', () => {
  /** The names of the ops that TensorFlow runs. */
  function opsOf(run: () => void): string[] {
    const ops: string[] = [];
    for (const name of ['executeSingleOutput', 'executeMultipleOutputs'] as const) {
      const execute = backend[name].bind(backend) as (...args: unknown[]) => never;
      jest.spyOn(backend, name).mockImplementation((op: string, ...rest: unknown[]) => {
        ops.push(op);
        return execute(op, ...rest);
      });
    }
    run();
    return ops;
  }

  const batch = makeBatch([4, 5, 3, 7], 3, 0);

  test('forward, with the channels last: three more than there have to be', () => {
    const tensors = tensorsOf(batch);
    expect(opsOf(() => batchNormTraining(...tensors))).toEqual([
      'StridedSlice',
      'Sub',
      'FusedBatchNormV3',
      'AddV2',
      'Mul',
    ]);
  });

  test('backward: two more', () => {
    const tensors = tensorsOf(batch);
    const dy = tf.ones(batch.shape);
    const ops = opsOf(() => void gradients(batch, [...tensors], dy));
    expect(ops.slice(5)).toEqual(['StridedSlice', 'Sub', 'FusedBatchNormGradV3']);
  });

  test('nothing is kept but what they return', () => {
    const tensors = tensorsOf(batch);
    const dy = tf.ones(batch.shape);
    const run = () => {
      tf.dispose({...batchNormTraining(...tensors)});
      tf.dispose(gradients(batch, [...tensors], dy));
    };
    run();
    const {numTensors, numDataBuffers} = tf.memory();
    run();
    expect(tf.memory()).toMatchObject({numTensors, numDataBuffers});
  });
});

test('a channel whose first value is not finite is not finite, and no other is', async () => {
  const {y, mean, variance} = batchNormTraining(
    tf.tensor2d([1, Infinity, 2, 2, 3, 3], [3, 2]),
  );
  const [a, b] = tf.unstack(y, 1);
  await expect(a).toBeAllclose([-1.224, 0, 1.224], {atol: 1e-3});
  expect(Array.from(await b.data()).some(Number.isFinite)).toBe(false);
  const finite = async (tensor: tf.Tensor) =>
    Array.from(await tensor.data(), Number.isFinite);
  expect(await finite(mean)).toEqual([true, false]);
  expect(await finite(variance)).toEqual([true, false]);
});
