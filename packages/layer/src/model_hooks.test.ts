import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {Holder, functional, on} from '../test/models.js';
import {ResBatchNorm, resBatchNorm} from './index.js';
import {hookModels} from './model_hooks.js';

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
  // tfjs-layers lists a shared layer once for each model that it is in.
  const shared = tfl.layers.dense({units: 4, useBias: false});
  const around = () => functional([4], y => on(shared, y));
  const twice = functional([4], y => on(around(), on(around(), y)));
  twice.trainable = false;
  expect(twice.nonTrainableWeights).toHaveLength(2);
});

test('a second copy of this package wraps nothing again, and others may', () => {
  const container = Object.getPrototypeOf(tfl.LayersModel.prototype);
  const wrapped = () =>
    [tfl.layers.Layer.prototype, container, tfl.Sequential.prototype].map(
      Object.getOwnPropertyDescriptors,
    );
  const before = wrapped();
  hookModels();
  expect(wrapped()).toEqual(before);
  expect(Symbol.for('@resbatchnorm/layer/model_hooks') in container).toBe(true);
  const [layer, model] = before;
  for (const {configurable} of [
    layer.trainable,
    model.trainable,
    model.trainableWeights,
  ]) {
    expect(configurable).toBe(true);
  }
});

describe('what is listed agrees with trainable', () => {
  const values = async (layer: tfl.layers.Layer) =>
    String(await Promise.all(layer.getWeights().map(weight => weight.data())));
  const around = (layer: tfl.layers.Layer) => functional([4], y => on(layer, y));
  const counts = ({trainableWeights, nonTrainableWeights, weights}: tfl.layers.Layer) => [
    trainableWeights.length,
    nonTrainableWeights.length,
    weights.length,
  ];

  test.each<[string, (norm: ResBatchNorm) => tfl.LayersModel]>([
    ['a nested model', norm => around(around(norm))],
    ['a model nested twice', norm => around(around(around(norm)))],
    [
      'a Sequential around a model',
      norm => tfl.sequential({layers: [around(norm), tfl.layers.dense({units: 4})]}),
    ],
    [
      'a time-distributed model',
      norm =>
        functional([2, 4], y => on(tfl.layers.timeDistributed({layer: around(norm)}), y)),
    ],
  ])('in %s that is frozen', async (_name, make) => {
    const layer = resBatchNorm();
    const model = make(layer);
    const all = model.weights.length;
    model.trainable = false;
    expect(counts(layer)).toEqual([0, 4, 4]);
    expect(counts(model)).toEqual([0, all, all]);
    expect(layer.getWeights()).toHaveLength(4);
    expect(layer.countParams()).toBe(16);
    model.setWeights(model.getWeights());
    const saved = await model.save(
      tf.io.withSaveHandler(async artifacts => {
        const specs = artifacts.weightSpecs!.map(({name}) => name);
        expect(new Set(specs).size).toBe(specs.length);
        const loaded = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
        expect(loaded.weights).toHaveLength(all);
        loaded.dispose();
        return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
      }),
    );
    expect(saved.errors).toBeUndefined();
    expect(() => model.dispose()).not.toThrow();
  });

  test('thawed again in a model that was frozen: all of the layer', () => {
    const layer = resBatchNorm();
    const model = around(layer);
    model.trainable = false;
    layer.trainable = true;
    expect(layer.trainable).toBe(true);
    expect(counts(layer)).toEqual([2, 2, 4]);
    // The model that is frozen itself trains nothing; one around it trains the layer.
    expect(counts(model)).toEqual([0, 4, 4]);
    expect(counts(around(model))).toEqual([2, 2, 4]);
  });

  test('frozen before it is built: the variables themselves', () => {
    const layer = resBatchNorm({trainable: false});
    layer.build([null, 4]);
    const loss = () =>
      tf.sum(layer.apply(x(), {training: true}) as tf.Tensor) as tf.Scalar;
    const free = tf.variable(tf.scalar(1));
    const {grads} = tf.variableGrads(() => tf.mul(loss(), free) as tf.Scalar);
    expect(Object.keys(grads)).toEqual([free.name]);
  });

  test.each(['first', 'later'])(
    'in a frozen model that is %s in a Sequential, also when that is built anew',
    async place => {
      const layer = resBatchNorm();
      const backbone = around(layer);
      backbone.trainable = false;
      const dense = () => tfl.layers.dense({units: 4, inputShape: [4]});
      const layers = place === 'first' ? [backbone] : [dense(), backbone];
      const model = tfl.sequential({layers: [...layers, dense()]});
      model.add(dense());
      model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
      const before = await values(layer);
      await model.fit(x(), x(), {verbose: 0});
      expect(await values(layer)).toEqual(before);
      expect(model.getWeights()).toHaveLength(model.weights.length);
    },
  );

  test('a layer frozen by itself stays so when its Sequential is built anew', () => {
    const layer = resBatchNorm({inputShape: [4]});
    const model = tfl.sequential({layers: [layer]});
    layer.trainable = false;
    model.add(tfl.layers.dense({units: 1}));
    model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    expect(layer.trainable).toBe(false);
    expect(layer.weights.slice(0, 2).every(weight => !weight.trainable)).toBe(true);
  });

  test('in a new model from the inputs of a frozen backbone to a head behind it', () => {
    const layer = resBatchNorm();
    const backbone = around(around(layer));
    backbone.trainable = false;
    const output = on(tfl.layers.dense({units: 1}), backbone.outputs[0]);
    const model = tfl.model({inputs: backbone.inputs, outputs: output});
    expect(counts(model)).toEqual([2, 4, 6]);
  });

  test('freezing goes by the models, not by their names', () => {
    const [a, b] = [resBatchNorm({inputShape: [4]}), resBatchNorm({inputShape: [4]})];
    const sequential = tfl.sequential({name: 'net', layers: [a]});
    const other = tfl.sequential({name: 'net_model', layers: [b]});
    sequential.trainable = false;
    other.trainable = false;
    other.trainable = true;
    expect([a.trainable, b.trainable]).toEqual([false, true]);
    sequential.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    expect(a.trainable).toBe(false);
    sequential.name = 'renamed';
    sequential.trainable = true;
    sequential.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    expect(a.trainable).toBe(true);
  });

  test('a layer that two inner models share: each weight once', () => {
    const layer = resBatchNorm();
    const input = tfl.input({shape: [4]});
    const model = tfl.model({
      inputs: input,
      outputs: on(around(layer), on(around(layer), input)),
    });
    expect(counts(model)).toEqual([2, 2, 4]);
    expect(model.countParams()).toBe(16);
    model.trainable = false;
    expect(counts(model)).toEqual([0, 4, 4]);
  });

  test("in a layer of the user's own that is frozen", async () => {
    const layer = resBatchNorm();
    const holder = new Holder(new Map([['deep', [layer]]]));
    const model = around(holder);
    model.trainable = false;
    expect(layer.trainable).toBe(false);
    expect(updated(around(layer), layer)).toEqual([false]);
  });
});

test("weights that a layer of the user's own does not list are said to be missing", () => {
  const layer = resBatchNorm({name: 'bn'});
  layer.build([null, 4]);
  const model = functional([4], y => on(new Holder(layer, 'block'), y));
  expect(() => model.loadWeights({})).toThrow(
    "moving_mean is not among the weights of the layer that holds 'bn'\n  moving_variance is " +
      "not among the weights of the layer that holds 'bn'\nA layer that holds others must list " +
      'their weights among its own (trainableWeights, nonTrainableWeights), or they are neither ' +
      'saved nor loaded. Nothing was loaded.',
  );
  expect(() => model.loadWeights({}, false)).not.toThrow();
});
