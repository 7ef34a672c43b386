import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {functional, on} from '../test/models.js';
import {collectUpdateOps, resBatchNorm, type ResBatchNormArgs} from './index.js';
import {consistentStatistics} from './moving_statistics.js';

describe('disposed, nothing is left', () => {
  const inModel = (layer: tfl.layers.Layer) => functional([3, 2], x => on(layer, x));
  const x = () => tf.ones([2, 3, 2]);

  test.each<[string, () => void]>([
    [
      'a layer that was called',
      () => {
        const layer = resBatchNorm();
        tf.tidy(() => void layer.apply(x(), {training: true}));
        layer.dispose();
      },
    ],
    ['a model', () => void inModel(resBatchNorm()).dispose()],
    ['a nested model', () => void inModel(inModel(resBatchNorm())).dispose()],
    [
      'a time-distributed layer',
      () => void inModel(tfl.layers.timeDistributed({layer: resBatchNorm()})).dispose(),
    ],
    [
      'a Sequential around a model',
      () => void tfl.sequential({layers: [inModel(resBatchNorm())]}).dispose(),
    ],
    [
      'weights, one by one',
      () => {
        const layer = resBatchNorm({renorm: true});
        layer.build([null, 2]);
        for (const weight of layer.weights) weight.dispose();
      },
    ],
  ])('%s', (_name, run) => {
    const before = tf.memory().numTensors;
    run();
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('the count of skipped updates of a layer that was disposed: an error that says so', async () => {
  const layer = resBatchNorm({name: 'bn'});
  layer.build([null, 2]);
  const before = tf.memory().numTensors;
  expect(await layer.readSkippedUpdateCount()).toBe(0);
  expect(tf.memory().numTensors).toBe(before);
  for (const weight of layer.weights) weight.dispose();
  await expect(layer.readSkippedUpdateCount()).rejects.toThrow(
    "ResBatchNorm 'bn': the count of skipped updates can't be read: the layer was disposed",
  );
});

test('update ops of a layer that was disposed: an error that names the weight', () => {
  const layer = resBatchNorm({name: 'bn'});
  const {result: y, updateOps} = collectUpdateOps(
    () => layer.apply(tf.ones([2, 3]), {training: true}) as tf.Tensor,
  );
  layer.dispose();
  const before = tf.memory().numTensors;
  expect(() => updateOps.run()).toThrow(/bn\/moving_mean\S* is already disposed/);
  expect(tf.memory().numTensors).toBe(before - 2);
  y.dispose();
});

describe('what belongs to a moving mean and variance from elsewhere', () => {
  const [mean, variance] = [2, 8];
  test.each<[string, ResBatchNormArgs, Record<string, number>]>([
    ['those two', {}, {}],
    [
      'for renorm, the standard deviation',
      {renorm: true, epsilon: 1},
      {moving_stddev: 3},
    ],
    [
      'for zeroDebiasMovingMean, steps after which no weight is missing',
      {zeroDebiasMovingMean: true, momentum: 0.5},
      {moving_mean_biased: mean, moving_mean_local_step: 24},
    ],
    [
      'for zeroDebiasMovingMean with momentum 0, one step',
      {zeroDebiasMovingMean: true, momentum: 0},
      {moving_mean_biased: mean, moving_mean_local_step: 1},
    ],
  ])('%s', async (_what, args, others) => {
    const layer = resBatchNorm(args);
    layer.build([null, 1]);
    const statistics = consistentStatistics(layer, {
      mean: tf.tensor1d([mean]),
      variance: tf.tensor1d([variance]),
    });
    const expected = {moving_mean: mean, moving_variance: variance, ...others};
    expect(Object.keys(statistics)).toEqual(Object.keys(expected));
    await expect(Object.values(statistics)).toBeAllclose(Object.values(expected));
  });
});
