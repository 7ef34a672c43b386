import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ResBatchNorm, resBatchNorm} from './index.js';

const x = () => tf.tensor(normalValues(32, {mean: 3}), [8, 4]);

/** outer(encoder(norm), norm, dense), each norm of a name of its own. */
function nest() {
  const [inner, direct] = [resBatchNorm({inputShape: [4]}), resBatchNorm()];
  const encoder = tfl.sequential({layers: [inner]});
  const outer = tfl.sequential({layers: [encoder, direct, tfl.layers.dense({units: 4})]});
  return {inner, direct, encoder, outer};
}

/** Which of the layers a training call of the model updates. */
function updated(model: tfl.LayersModel, ...layers: ResBatchNorm[]): boolean[] {
  const before = layers.map(layer => layer.updateCount);
  tf.dispose(model.apply(x(), {training: true}) as tf.Tensor);
  return layers.map((layer, i) => layer.updateCount > before[i]);
}

test('trainable is heard through every model around a layer', () => {
  const {inner, direct, encoder, outer} = nest();
  expect(updated(outer, inner, direct)).toEqual([true, true]);
  outer.trainable = false;
  expect([inner.trainable, direct.trainable]).toEqual([false, false]);
  expect(updated(outer, inner, direct)).toEqual([false, false]);
  outer.trainable = true;
  expect(updated(outer, inner, direct)).toEqual([true, true]);
  encoder.trainable = false;
  expect(updated(outer, inner, direct)).toEqual([false, true]);
});

test('the last word wins', () => {
  const {inner, direct, encoder, outer} = nest();
  encoder.trainable = false;
  direct.trainable = false;
  outer.trainable = false;
  outer.trainable = true;
  expect(updated(outer, inner, direct)).toEqual([true, true]);
  outer.trainable = false;
  encoder.trainable = true;
  expect(updated(outer, inner, direct)).toEqual([true, false]);
  direct.trainable = true;
  inner.trainable = false;
  expect(updated(outer, inner, direct)).toEqual([false, true]);
});

test('a layer that two models share follows both', () => {
  const layer = resBatchNorm({inputShape: [4]});
  const a = tfl.sequential({layers: [layer]});
  const b = tfl.model({inputs: a.inputs, outputs: a.outputs});
  a.trainable = false;
  b.trainable = false;
  b.trainable = true;
  expect(layer.trainable).toBe(true);
  a.trainable = false;
  expect(layer.trainable).toBe(false);
});

test('compiling and fitting a frozen model keeps it frozen, and thawing works after', async () => {
  const {inner, direct, outer} = nest();
  const fit = async () => {
    const before = [inner.updateCount, direct.updateCount];
    outer.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    await outer.fit(x(), x(), {verbose: 0});
    return [inner.updateCount - before[0], direct.updateCount - before[1]];
  };
  direct.trainable = false;
  expect(await fit()).toEqual([1, 0]);
  direct.trainable = true;
  outer.trainable = false;
  outer.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
  expect(updated(outer, inner, direct)).toEqual([false, false]);
  outer.trainable = true;
  expect(await fit()).toEqual([1, 1]);
});

test('building a model within a frozen one does not thaw it', () => {
  const {inner, encoder, outer} = nest();
  outer.trainable = false;
  encoder.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
  expect(updated(outer, inner)).toEqual([false]);
});

test('functional models and wrapped layers hear it, too', () => {
  const layer = resBatchNorm();
  const input = tfl.input({shape: [2, 4]});
  const output = tfl.layers.timeDistributed({layer}).apply(input) as tfl.SymbolicTensor;
  const model = tfl.model({inputs: input, outputs: output});
  const outer = tfl.sequential({layers: [model]});
  outer.trainable = false;
  outer.apply(tf.ones([3, 2, 4]), {training: true});
  expect(layer.updateCount).toBe(0);
});

test('a frozen model in a custom loop: dx alone, in inference mode, scale and center off', async () => {
  const layer = resBatchNorm({scale: false, center: false, inputShape: [4]});
  const model = tfl.sequential({layers: [layer]});
  model.trainable = false;
  const dx = tf.grad(x => tf.sum(model.apply(x, {training: true}) as tf.Tensor))(x());
  await expect(dx).toBeAllclose(tf.fill([8, 4], 1 / Math.sqrt(1 + 1e-3)));
});

test('what a model says of a layer is saved with the layer, as in Keras 3', () => {
  const {direct, outer} = nest();
  outer.trainable = false;
  expect(direct.getConfig().trainable).toBe(false);
  direct.trainable = true;
  expect(direct.getConfig().trainable).toBe(true);
});

test('models without a ResBatchNorm do as before', () => {
  const model = tfl.sequential({layers: [tfl.layers.dense({units: 1, inputShape: [4]})]});
  model.trainable = false;
  expect(model.trainable).toBe(false);
  expect(model.layers[0].trainable).toBe(true);
  expect(model.trainableWeights).toHaveLength(0);
});
