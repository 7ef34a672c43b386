import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {collectUpdateOps, resBatchNorm, type ResBatchNorm} from '../src/index.js';

const batch = (seed = 1) => tf.tensor(normalValues(24, {seed, mean: 2}), [8, 3]);

function train(layer: ResBatchNorm, x: tf.Tensor): void {
  (layer.apply(x, {training: true}) as tf.Tensor).dispose();
}

test.each([
  ['plain', {}],
  ['with an unbiased moving variance', {unbiasedMovingVariance: true}],
])(
  'a layer %s tells the statistics that the moving ones follow',
  async (_name, options) => {
    // With this momentum they become those of the batch.
    const layer = resBatchNorm({momentum: 0, ...options});
    const seen: tf.Tensor[] = [];
    layer.observeNextUpdate(({mean, variance}) => {
      seen.push(tf.keep(tf.clone(mean)), tf.keep(tf.clone(variance)));
    });
    train(layer, batch());
    expect(seen).toHaveLength(2);
    const [mean, variance] = layer.getWeights().slice(-2);
    await expect(seen[0]).toBeAllclose(mean);
    await expect(seen[1]).toBeAllclose(variance);
  },
);

test('an observer is called once', () => {
  const layer = resBatchNorm();
  const observer = jest.fn();
  layer.observeNextUpdate(observer);
  train(layer, batch());
  train(layer, batch(2));
  expect(observer).toHaveBeenCalledTimes(1);
});

test('one may observe again from the observer', () => {
  const layer = resBatchNorm();
  const observer = jest.fn(() => void layer.observeNextUpdate(observer));
  layer.observeNextUpdate(observer);
  train(layer, batch());
  expect(observer).toHaveBeenCalledTimes(1);
  train(layer, batch());
  expect(observer).toHaveBeenCalledTimes(2);
});

test('an observer can be taken back, and another stays', () => {
  const layer = resBatchNorm();
  const [first, second] = [jest.fn(), jest.fn()];
  const stop = layer.observeNextUpdate(first);
  layer.observeNextUpdate(second);
  stop();
  train(layer, batch());
  expect(first).not.toHaveBeenCalled();
  expect(second).toHaveBeenCalledTimes(1);
  // Too late is no error.
  stop();
});

test('a collected update op is observed when it runs', () => {
  const layer = resBatchNorm();
  const observer = jest.fn();
  layer.observeNextUpdate(observer);
  const x = batch();
  const dropped = collectUpdateOps(() => train(layer, x));
  dropped.updateOps.dispose();
  const {updateOps} = collectUpdateOps(() => train(layer, x));
  expect(observer).not.toHaveBeenCalled();
  updateOps.run();
  expect(observer).toHaveBeenCalledTimes(1);
});

test('inference mode is no update', () => {
  const layer = resBatchNorm();
  const observer = jest.fn();
  layer.observeNextUpdate(observer);
  layer.apply(batch());
  layer.trainable = false;
  train(layer, batch());
  expect(observer).not.toHaveBeenCalled();
});

test('observing leaks nothing', () => {
  const layer = resBatchNorm();
  const x = batch();
  train(layer, x);
  const {numTensors} = tf.memory();
  layer.observeNextUpdate(() => {});
  train(layer, x);
  layer.observeNextUpdate(() => {});
  expect(tf.memory().numTensors).toBe(numTensors);
});
