import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {functional, on} from '../test/models.js';
import {findWeight, type Layer} from './batch_norms.js';
import {
  onBatchStatistics,
  STATISTICS_LISTENERS,
  withBatchStatistics,
} from './batch_statistics.js';
import type {BatchStatistics} from './batch_statistics.js';
import {collectUpdateOps, resBatchNorm, type ResBatchNorm} from './index.js';

const batch = (seed = 1) => tf.tensor(normalValues(24, {seed, mean: 2}), [8, 3]);

type Seen = Record<'mean' | 'variance' | 'followedVariance' | 'count', tf.Tensor>;

/** What outlives the call. */
function kept({mean, variance, count, followedVariance}: BatchStatistics): Seen {
  const keep = (tensor: tf.Tensor) => tf.keep(tf.clone(tensor));
  return {
    mean: keep(mean),
    variance: keep(variance),
    followedVariance: keep(followedVariance),
    count: keep(typeof count === 'number' ? tf.tensor1d([count]) : count),
  };
}

function train(layer: ResBatchNorm, x: tf.Tensor): void {
  (layer.apply(x, {training: true}) as tf.Tensor).dispose();
}

const read = (layer: Layer, name: string) => findWeight(layer, name)!.read();
const dataIds = (layer: Layer) => layer.weights.map(weight => weight.read().dataId);

describe('withBatchStatistics', () => {
  test.each([
    ['plain', {}],
    ['with an unbiased moving variance', {unbiasedMovingVariance: true}],
    ['with renorm', {renorm: true}],
    ['with virtual batches', {virtualBatchSize: 4}],
  ])('a trial of a layer %s is a training call without update', async (_name, args) => {
    // With this momentum the moving statistics become those of the batch.
    const layer = resBatchNorm({...args, momentum: 0});
    const x = batch();
    layer.apply(x);
    const before = dataIds(layer);
    const seen: Seen[] = [];
    const y = withBatchStatistics(
      [layer],
      (_, statistics) => seen.push(kept(statistics)),
      // The mode that the call asks for does not matter.
      () => layer.apply(x) as tf.Tensor,
    );
    expect(dataIds(layer)).toEqual(before);
    expect(layer).toMatchObject({updateOpCount: 0, updateCount: 0});
    await expect(y).toBeAllclose(layer.apply(x, {training: true}) as tf.Tensor);
    expect(seen).toHaveLength(1);
    await expect(seen[0].mean).toBeAllclose(read(layer, 'moving_mean'));
    await expect(seen[0].followedVariance).toBeAllclose(read(layer, 'moving_variance'));
    const {mean, variance} = tf.moments(x, 0);
    await expect(seen[0].mean).toBeAllclose(mean);
    await expect(seen[0].variance).toBeAllclose(variance);
    await expect(seen[0].count).toBeAllclose([8]);
  });

  test.each([
    ['as it is', {}],
    ['without scale', {scale: false}],
    ['without center', {center: false}],
    ['along another axis', {axis: 1}],
  ])('the built-in layer %s tells the same, and stays as it is', async (_name, args) => {
    const x = tf.tensor(normalValues(48, {seed: 3, mean: 5}), [4, 3, 2, 2]);
    const builtIn = tfl.layers.batchNormalization(args);
    const own = resBatchNorm(args);
    const shape = [null, 3, 2, 2];
    for (const layer of [builtIn, own]) layer.build(shape);
    const before = dataIds(builtIn);
    const seen = new Map<Layer, Seen>();
    const [y, expected] = withBatchStatistics(
      [builtIn, own],
      (layer, statistics) => seen.set(layer, kept(statistics)),
      () => [builtIn, own].map(layer => layer.call(x, {}) as tf.Tensor),
    );
    expect(dataIds(builtIn)).toEqual(before);
    await expect(y).toBeAllclose(expected, {rtol: 1e-4, atol: 1e-5});
    for (const name of ['mean', 'variance', 'followedVariance'] as const) {
      await expect(seen.get(builtIn)![name]).toBeAllclose(seen.get(own)![name]);
    }
    const [count] = await seen.get(own)!.count.data();
    const counts = await seen.get(builtIn)!.count.data();
    expect(new Set(counts)).toEqual(new Set([count]));
  });

  test('both kinds count without the device where all values count alike', () => {
    const layers = [resBatchNorm(), tfl.layers.batchNormalization()];
    const counts: unknown[] = [];
    for (const layer of layers) layer.build([null, 5, 3]);
    withBatchStatistics(
      layers,
      (_, {count}) => counts.push(count),
      () => layers.forEach(layer => layer.call(tf.ones([2, 5, 3]), {})),
    );
    expect(counts).toEqual([10, 10]);
  });

  test('a mask leaves values out of what a ResBatchNorm tells', async () => {
    const x = tf.tensor3d([1, 2, 30], [1, 3, 1]);
    const layer = resBatchNorm();
    const seen: Seen[] = [];
    withBatchStatistics(
      [layer],
      (_, statistics) => seen.push(kept(statistics)),
      () => layer.apply(x, {mask: tf.tensor2d([[1, 1, 0]])}),
    );
    await expect(seen[0].mean).toBeAllclose([1.5]);
    await expect(seen[0].count).toBeAllclose([2]);
  });

  test('layers are heard in models and wrappers, in inference mode as well', () => {
    const layers = [resBatchNorm(), tfl.layers.batchNormalization()];
    const model = functional([5, 3], x =>
      layers.reduce((y, layer) => on(tfl.layers.timeDistributed({layer}), y), x),
    );
    const told: Layer[] = [];
    withBatchStatistics(
      layers,
      layer => told.push(layer),
      () => model.predict(tf.ones([2, 5, 3])),
    );
    expect(new Set(told)).toEqual(new Set(layers));
  });

  test('an empty batch has none', () => {
    const layers = [resBatchNorm(), tfl.layers.batchNormalization()];
    const take = jest.fn();
    for (const layer of layers) layer.build([null, 3]);
    const shapes = withBatchStatistics(layers, take, () =>
      layers.map(layer => (layer.call(tf.zeros([0, 3]), {}) as tf.Tensor).shape),
    );
    expect(take).not.toHaveBeenCalled();
    expect(shapes).toEqual([
      [0, 3],
      [0, 3],
    ]);
  });

  test('afterwards, and after an error, the layers are as before', () => {
    const layers = [resBatchNorm(), tfl.layers.batchNormalization()];
    const take = jest.fn();
    const fail = () => {
      throw new Error('no');
    };
    expect(() => withBatchStatistics(layers, take, fail)).toThrow('no');
    for (const layer of layers) layer.apply(batch(), {training: true});
    expect(take).not.toHaveBeenCalled();
    expect(layers.every(layer => !Object.hasOwn(layer, 'call'))).toBe(true);
  });
});

describe('onBatchStatistics', () => {
  test.each([
    ['plain', {}],
    ['with an unbiased moving variance', {unbiasedMovingVariance: true}],
  ])('a layer %s tells what its moving statistics follow', async (_name, args) => {
    const layer = resBatchNorm({momentum: 0, ...args});
    const seen: Seen[] = [];
    onBatchStatistics(layer, statistics => seen.push(kept(statistics)));
    train(layer, batch());
    expect(layer.updateCount).toBe(1);
    await expect(seen[0].mean).toBeAllclose(read(layer, 'moving_mean'));
    await expect(seen[0].followedVariance).toBeAllclose(read(layer, 'moving_variance'));
  });

  test('of each training call, until it is ended; others stay', () => {
    const layer = resBatchNorm();
    const [first, second] = [jest.fn(), jest.fn()];
    const end = onBatchStatistics(layer, first)!;
    onBatchStatistics(layer, second);
    train(layer, batch());
    train(layer, batch(2));
    end();
    train(layer, batch());
    end();
    expect(first).toHaveBeenCalledTimes(2);
    expect(second).toHaveBeenCalledTimes(3);
  });

  test('also where the update op is collected', () => {
    const layer = resBatchNorm();
    const take = jest.fn();
    onBatchStatistics(layer, take);
    const {updateOps} = collectUpdateOps(() => train(layer, batch()));
    updateOps.dispose();
    expect(take).toHaveBeenCalledTimes(1);
  });

  test('inference mode has none', () => {
    const layer = resBatchNorm();
    const take = jest.fn();
    onBatchStatistics(layer, take);
    layer.apply(batch());
    layer.trainable = false;
    train(layer, batch());
    expect(take).not.toHaveBeenCalled();
  });

  test('a trial tells its own listeners alone', () => {
    const layer = resBatchNorm();
    const [ofTraining, ofTrial] = [jest.fn(), jest.fn()];
    onBatchStatistics(layer, ofTraining);
    withBatchStatistics([layer], ofTrial, () => train(layer, batch()));
    expect(ofTraining).not.toHaveBeenCalled();
    expect(ofTrial).toHaveBeenCalledTimes(1);
    train(layer, batch());
    expect(ofTraining).toHaveBeenCalledTimes(1);
    expect(ofTrial).toHaveBeenCalledTimes(1);
  });

  test('the built-in layer does not tell', () => {
    expect(onBatchStatistics(tfl.layers.batchNormalization(), () => {})).toBeNull();
  });

  test('listening leaks nothing', () => {
    const layer = resBatchNorm();
    const x = batch();
    train(layer, x);
    const {numTensors} = tf.memory();
    onBatchStatistics(layer, () => {});
    train(layer, x);
    withBatchStatistics(
      [layer],
      () => {},
      () => tf.dispose(layer.apply(x) as tf.Tensor),
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

test('copies of any version of this package find the listeners by this name', () => {
  expect(STATISTICS_LISTENERS).toBe(
    Symbol.for('@resbatchnorm/layer/statistics_listeners'),
  );
});
