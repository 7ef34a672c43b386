import * as tf from '@tensorflow/tfjs-core';

import type {MovingStatisticsAttrs} from '../kernel.js';
import {customOps, hasCustomOps, movingStatisticsFunction} from './custom_ops.js';
import type {TensorFlowBackend} from './ops.js';

let backend: tf.KernelBackend;
const attrs: MovingStatisticsAttrs = {
  rule: 'exponential',
  momentum: 0.999,
  renormMomentum: 0,
  epsilon: 1e-3,
  skipNonFinite: true,
};

const inputsOf = (mean: number[]) => ({
  moving_variance: tf.tensor1d([1, 2, 3]),
  moving_mean: tf.tensor1d([-1, 0, 5]),
  mean: tf.tensor1d(mean),
  variance: tf.tensor1d([0.5, 0, 7]),
  skipped: tf.scalar(4),
});

beforeAll(() => {
  backend = tf.backend();
});
afterEach(() => tf.env().set('RES_BATCH_NORM_CUSTOM_OPS', true));

test('the addon that setup built has them, unless the flag is off', () => {
  const native = backend as unknown as TensorFlowBackend;
  expect(hasCustomOps(native)).toBe(true);
  tf.env().set('RES_BATCH_NORM_CUSTOM_OPS', false);
  expect(hasCustomOps(native)).toBe(false);
  expect(movingStatisticsFunction(inputsOf([1, 2, 3]), attrs, backend)).toBeNull();
});

test.each([{mean: [1, -2, 3e5]}, {mean: [1, NaN, 3]}])(
  'the function for any device gives what the op gives: mean $mean',
  async ({mean}) => {
    const inputs = inputsOf(mean);
    const [byFunction, byOp] = [movingStatisticsFunction, customOps.movingStatistics].map(
      kernel => kernel(inputs, attrs, backend) as tf.Tensor[],
    );
    expect(byFunction.map(({dtype}) => dtype)).toEqual(byOp.map(({dtype}) => dtype));
    for (const [i, tensor] of byFunction.entries()) {
      await expect(tensor).toBeAllclose(byOp[i], {rtol: 1e-6});
    }
  },
);

test('inputs that do not fit are refused by name, and nothing leaks', () => {
  const [x, gamma] = [tf.ones([4, 3]), tf.ones([2])];
  const before = tf.memory().numTensors;
  const attrs = {
    axis: 1,
    epsilon: 1e-3,
    activation: 'linear',
    hasShortcut: false,
  } as const;
  expect(() => customOps.training({x, gamma, beta: gamma}, attrs, backend)).toThrow(
    /must be of shape \[3\]. Received: \[2\]/,
  );
  expect(tf.memory().numTensors).toBe(before);
});
