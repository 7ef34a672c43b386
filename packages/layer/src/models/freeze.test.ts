import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorm} from '../index.js';
import {freezeBatchNorm, unfreezeBatchNorm} from './freeze.js';

const exact = {rtol: 0, atol: 0};
const x = () => tf.tensor(normalValues(96, {mean: 3}), [8, 3, 4]);
const target = () => tf.tensor(normalValues(96, {seed: 2, mean: 1}), [8, 3, 4]);

/** A norm of each kind in a nested model, in a wrapper and in the model itself. */
function everywhere() {
  const inner = tfl.sequential();
  const model = tfl.sequential();
  // With nothing in between, a norm would undo the training of the norm before it.
  const add = (to: tfl.Sequential, layer: tfl.layers.Layer) => {
    to.add(layer);
    to.add(tfl.layers.activation({activation: 'tanh'}));
  };
  add(inner, resBatchNorm({name: 'inner_res', inputShape: [3, 4]}));
  add(inner, tfl.layers.batchNormalization({name: 'inner_built_in'}));
  model.add(inner);
  model.add(tfl.layers.dense({units: 4, name: 'dense'}));
  const wrap = (layer: tfl.layers.Layer) => tfl.layers.timeDistributed({layer});
  add(model, wrap(resBatchNorm({name: 'wrapped_res'})));
  add(model, wrap(tfl.layers.batchNormalization({name: 'wrapped_built_in'})));
  add(model, resBatchNorm({name: 'res'}));
  add(model, tfl.layers.batchNormalization({name: 'built_in'}));
  return {model, inner};
}

const names = [
  'inner_res',
  'inner_built_in',
  'wrapped_res',
  'wrapped_built_in',
  'res',
  'built_in',
];

/** How many of the norms' weights a step of training changes, and whether dense's change. */
async function changedByStep(model: tfl.LayersModel) {
  const before = model.weights.map(weight => tf.clone(weight.read()));
  model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
  await model.fit(x(), target(), {epochs: 1, verbose: 0});
  const isChanged = await Promise.all(
    model.weights.map(async (weight, i) => {
      const difference = tf.max(tf.abs(tf.sub(weight.read(), before[i])));
      return (await difference.data())[0] > 0;
    }),
  );
  const changed = model.weights.filter((_, i) => isChanged[i]).map(w => w.originalName);
  return {
    norms: changed.filter(name => !name.startsWith('dense/')).length,
    dense: changed.filter(name => name.startsWith('dense/')).length,
  };
}

test('a frozen norm, of either kind and anywhere, keeps all its weights in training', async () => {
  const {model} = everywhere();
  expect(freezeBatchNorm(model)).toEqual(names);
  expect(await changedByStep(model)).toEqual({norms: 0, dense: 2});
});

test('a frozen norm is in inference mode, whatever the call says', async () => {
  const {model} = everywhere();
  const predicted = model.predict(x()) as tf.Tensor;
  const trained = model.apply(x(), {training: true}) as tf.Tensor;
  await expect(trained).not.toBeAllclose(predicted, {atol: 0.1});
  const fresh = everywhere().model;
  fresh.setWeights(model.getWeights());
  freezeBatchNorm(fresh);
  const frozen = fresh.apply(x(), {training: true}) as tf.Tensor;
  await expect(frozen).toBeAllclose(fresh.predict(x()) as tf.Tensor, exact);
});

test('and trains again when unfrozen', async () => {
  const {model} = everywhere();
  freezeBatchNorm(model);
  freezeBatchNorm(model);
  expect(unfreezeBatchNorm(model)).toEqual(names);
  // gamma, beta, moving_mean and moving_variance of each
  expect(await changedByStep(model)).toEqual({norms: 24, dense: 2});
});

test('other layers keep their trainable', () => {
  const {model} = everywhere();
  freezeBatchNorm(model);
  expect(model.getLayer('dense').trainable).toBe(true);
  model.getLayer('dense').trainable = false;
  unfreezeBatchNorm(model);
  expect(model.getLayer('dense').trainable).toBe(false);
});

test('the last word wins: a norm in a frozen model is unfrozen with the others', () => {
  const {model, inner} = everywhere();
  inner.trainable = false;
  freezeBatchNorm(model);
  unfreezeBatchNorm(model);
  expect(inner.trainable).toBe(false);
  expect(inner.layers[0].trainable).toBe(true);
  expect(model.getLayer('res').trainable).toBe(true);
});

test('a model without a batch norm says so by an empty list', () => {
  const model = tfl.sequential({layers: [tfl.layers.dense({units: 1, inputShape: [4]})]});
  expect(freezeBatchNorm(model)).toEqual([]);
});

test('no tensor is made', () => {
  const {model} = everywhere();
  const before = tf.memory().numTensors;
  freezeBatchNorm(model);
  unfreezeBatchNorm(model);
  expect(tf.memory().numTensors).toBe(before);
});

test.each([
  [undefined, 'undefined'],
  [tfl.layers.dense({units: 1}), 'an instance of Dense'],
  [{layers: []}, '{"layers":[]} that is none of this copy of @tensorflow/tfjs-layers'],
  [tfl.sequential({name: 'empty'}), "the model 'empty', which has no layers"],
])('%p is no model', (model, received) => {
  for (const freeze of [freezeBatchNorm, unfreezeBatchNorm]) {
    const start = `${freeze.name}: model must `;
    expect(() => freeze(model as never)).toThrow(start);
    expect(() => freeze(model as never)).toThrow(`Received: ${received}`);
  }
});

test('a built-in that is thawed by its own flag trains again', () => {
  const layer = tfl.layers.batchNormalization({inputShape: [4]});
  freezeBatchNorm(tfl.sequential({layers: [layer]}));
  const written = () => {
    const before = layer.weights.map(weight => weight.read().dataId);
    layer.apply(tf.ones([2, 4]), {training: true});
    return layer.weights.filter((weight, i) => weight.read().dataId !== before[i]).length;
  };
  expect(written()).toBe(0);
  layer.trainable = true;
  expect(written()).toBe(2);
});
