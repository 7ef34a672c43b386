/** The kernel of the moving statistics against the composed one, on every backend. */
import * as tf from '@tensorflow/tfjs-core';

import {MOVING_STATISTICS, type MovingStatisticsAttrs} from './kernel.js';
import {runKernel} from './run_kernel.js';

const attrs: MovingStatisticsAttrs = {
  rule: 'exponential',
  momentum: 0.9,
  renormMomentum: 0,
  epsilon: 1e-3,
  skipNonFinite: true,
};

const batches = {
  finite: {mean: [1, -2, 3e5], variance: [0.5, 0, 7]},
  'with a mean that is NaN': {mean: [1, NaN, 3], variance: [1, 1, 1]},
  'with an infinite variance': {mean: [1, 2, 3], variance: [1, 1, Infinity]},
};

async function next(batch: Record<string, number[]>, skipNonFinite: boolean) {
  const inputs = {
    // Not in the order of mean and variance: the outputs follow the names.
    moving_variance: tf.tensor1d([1, 2, 3]),
    moving_mean: tf.tensor1d([-1, 0, 5]),
    mean: tf.tensor1d(batch.mean),
    variance: tf.tensor1d(batch.variance),
    skipped: tf.scalar(4),
  };
  const before = tf.memory().numTensors;
  const outputs = runKernel(MOVING_STATISTICS, inputs, {...attrs, skipNonFinite});
  expect(tf.memory().numTensors).toBe(before + 3);
  expect(outputs[2].dtype).toBe('float32');
  const values = await Promise.all(outputs.map(output => output.array()));
  tf.dispose([inputs, outputs]);
  return values as [number[], number[], number];
}

afterEach(() => tf.env().set('RES_BATCH_NORM_KERNELS', true));

describe.each(Object.entries(batches))('a batch %s', (_, batch) => {
  test.each([true, false])('skipNonFinite: %s', async skipNonFinite => {
    const own = await next(batch, skipNonFinite);
    tf.env().set('RES_BATCH_NORM_KERNELS', false);
    const composed = await next(batch, skipNonFinite);
    expect(own[2]).toBe(composed[2]);
    for (const [i, values] of [own[0], own[1]].entries()) {
      await expect(tf.tensor1d(values)).toBeAllclose(composed[i] as number[], {
        rtol: 1e-6,
      });
    }
  });
});

test('values: moving·momentum + batch·(1 − momentum)', async () => {
  const [variance, mean, skipped] = await next(batches.finite, true);
  await expect(tf.tensor1d(variance)).toBeAllclose([0.95, 1.8, 3.4], {rtol: 1e-6});
  await expect(tf.tensor1d(mean)).toBeAllclose([-0.8, -0.2, 30004.5], {rtol: 1e-6});
  expect(skipped).toBe(4);
});
