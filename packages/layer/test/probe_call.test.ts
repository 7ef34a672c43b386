import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {resBatchNorm, type ResBatchNorm} from '../src/index.js';

const batch = () => tf.tensor(normalValues(24, {seed: 1, mean: 2}), [8, 3]);

function probed(layer: ResBatchNorm, x: tf.Tensor): {y: tf.Tensor; seen: tf.Tensor[]} {
  const seen: tf.Tensor[] = [];
  const probe = ({mean, variance}: {mean: tf.Tensor; variance: tf.Tensor}) => {
    seen.push(tf.keep(tf.clone(mean)), tf.keep(tf.clone(variance)));
  };
  return {y: layer.apply(x, {training: true, probe}) as tf.Tensor, seen};
}

test.each([
  ['plain', {}],
  ['with an unbiased moving variance', {unbiasedMovingVariance: true}],
  ['with renorm', {renorm: true}],
])(
  'a probed call of a layer %s is a training call without update',
  async (_name, args) => {
    // With this momentum the moving statistics become those of the batch.
    const layer = resBatchNorm({...args, momentum: 0});
    const x = batch();
    layer.apply(x);
    const dataIds = layer.weights.map(weight => weight.read().dataId);
    const {y, seen} = probed(layer, x);
    expect(layer.weights.map(weight => weight.read().dataId)).toEqual(dataIds);
    expect(layer).toMatchObject({updateOpCount: 0, updateCount: 0});
    await expect(y).toBeAllclose(layer.apply(x, {training: true}) as tf.Tensor);
    const moved = ['moving_mean', 'moving_variance'].map(name =>
      layer.weights.find(({originalName}) => originalName.endsWith(name))!.read(),
    );
    await expect(seen[0]).toBeAllclose(moved[0]);
    await expect(seen[1]).toBeAllclose(moved[1]);
  },
);

test('a frozen layer has nothing to probe', () => {
  const {seen} = probed(resBatchNorm({trainable: false}), batch());
  expect(seen).toEqual([]);
});
