import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {functional, on} from '../test/models.js';
import {resBatchNorm, type ResBatchNorm} from './index.js';

const ones = () => tf.ones([2]);

/** A model of a norm `bn` and what else it is given. */
function modelOf(...others: tfl.layers.Layer[]): tfl.LayersModel {
  const norm = resBatchNorm({name: 'bn'});
  return functional([2], x => [norm, ...others].reduce((y, layer) => on(layer, y), x));
}

const values = (model: tfl.LayersModel) =>
  model.getWeights().map(weight => Array.from(weight.dataSync()));

/** Expects a refusal that changes nothing. */
function expectRefused(model: tfl.LayersModel, change: () => void, ...parts: string[]) {
  const before = values(model);
  for (const part of parts) expect(change).toThrow(part);
  expect(change).toThrow(expect.objectContaining({name: 'ValueError'}));
  expect(values(model)).toEqual(before);
}

const all = (scope = 'bn') => ({
  [`${scope}/gamma`]: ones(),
  [`${scope}/beta`]: ones(),
  [`${scope}/moving_mean`]: ones(),
  [`${scope}/moving_variance`]: ones(),
});
const without = (weights: tf.NamedTensorMap, gone: string): tf.NamedTensorMap =>
  Object.fromEntries(Object.entries(weights).filter(([name]) => name !== gone));
const numbered = (scope = 'bn') =>
  Object.fromEntries([0, 1, 2, 3].map(i => [`${scope}/${i}`, ones()]));

describe('weights that are loaded', () => {
  test.each([
    ['named', all],
    ['numbered, as Keras 3 writes them', numbered],
  ])('%s: all are there', (_form, make) => {
    const model = modelOf();
    model.loadWeights(make());
    expect(values(model)).toEqual([[1, 1], [1, 1], [1, 1], [1, 1]]); // prettier-ignore
  });

  test.each([
    ['named', all],
    ['numbered', numbered],
  ])(
    '%s, of a layer whose name has a slash, as in the DenseNet of Keras',
    (_form, make) => {
      const layer = resBatchNorm({name: 'conv1/bn'});
      const model = functional([2], x => on(layer, x));
      model.loadWeights(make('conv1/bn'));
      expect(values(model)).toEqual([[1, 1], [1, 1], [1, 1], [1, 1]]); // prettier-ignore
    },
  );

  test.each([
    ['named', all, 'bn/moving_variance'],
    ['numbered', numbered, 'bn/3'],
  ])('%s: each moving statistic is looked at', (_form, make, name) => {
    const model = modelOf();
    const broken = (value: number) => ({...make(), [name]: tf.tensor1d([1, value])});
    const nan = `${name} holds NaN, at index 1`;
    expectRefused(
      model,
      () => model.loadWeights(broken(NaN)),
      nan,
      'has probably diverged: use an earlier checkpoint. Nothing was loaded.',
    );
    expectRefused(
      model,
      () => model.loadWeights(broken(Infinity)),
      `${name} holds Infinity, at index 1`,
      'Saving in float16 turns values over 65,504 into Infinity: save without ' +
        'quantization, or leave these weights out of it. Nothing was loaded.',
    );
    expectRefused(
      model,
      () => model.loadWeights(broken(-1)),
      `${name} holds -1, at index 1\nNothing was loaded.`,
    );
    const missing = without(make(), name);
    expectRefused(
      model,
      () => model.loadWeights(missing),
      `${name} is missing\nA model saved with trainableOnly`,
    );
    expectRefused(model, () => model.loadWeights(missing, false), `${name} is missing`);
  });

  test('a weight of another layer that is named by a number does not switch the check off', () => {
    const model = modelOf(tfl.layers.dense({units: 2, name: 'dense'}));
    const missing = without(all(), 'bn/moving_mean');
    const weights = {...missing, 'dense/kernel': tf.ones([2, 2]), 'dense/0': ones()};
    expectRefused(
      model,
      () => model.loadWeights(weights, false),
      'bn/moving_mean is missing',
    );
  });

  test('a weight of an inner scope stands for one that is missing, not for one that is there', () => {
    const model = modelOf();
    model.loadWeights({...all('bn/cell')});
    const inner = {'bn/cell/moving_variance': tf.tensor1d([-1, -1])};
    expect(() => model.loadWeights({...all(), ...inner}, false)).not.toThrow();
    const missing = without(all(), 'bn/moving_variance');
    expectRefused(
      model,
      () => model.loadWeights({...missing, ...inner}, false),
      'bn/moving_variance holds -1',
    );
  });

  test('tfjs-layers says that two weights have one name', () => {
    const model = functional([2], x => on(resBatchNorm({name: 'bn'}), on(modelOf(), x)));
    expect(() => model.loadWeights(all())).toThrow('Duplicate weight name: bn/gamma');
  });

  test('values that can only be read later are not looked at', () => {
    const model = modelOf();
    const onDevice = tf.tensor1d([1, -1]);
    jest.spyOn(onDevice, 'dataSync').mockImplementation(() => {
      throw new Error('not at once');
    });
    model.loadWeights({...all(), 'bn/moving_variance': onDevice});
    expect(values(model)[3]).toEqual([1, -1]);
  });

  test('without strict, a layer may be missing as a whole', () => {
    const model = modelOf();
    expect(() => model.loadWeights({}, false)).not.toThrow();
    expectRefused(model, () => model.loadWeights({}), 'bn/moving_mean is missing');
  });
});

describe('weights that are set', () => {
  const given = (value: number) => [ones(), ones(), ones(), tf.tensor1d([1, value])];

  test.each([
    ['of a model', () => modelOf()],
    ['of a nested model', () => functional([2], x => on(modelOf(), x))],
    [
      'of a Sequential around a model',
      () =>
        tfl.sequential({
          layers: [modelOf(), tfl.layers.activation({activation: 'relu'})],
        }),
    ],
  ])('%s: NaN and negative variances are refused', (_name, make) => {
    const model = make();
    const set = (value: number) => () => model.setWeights(given(value));
    expectRefused(model, set(NaN), 'bn/moving_variance holds NaN', 'Nothing was set.');
    expectRefused(model, set(-1), 'bn/moving_variance holds -1, at index 1');
    model.setWeights(given(4));
    expect(values(model)[3]).toEqual([1, 4]);
  });

  test('gamma and beta may be negative, but not NaN', () => {
    const model = modelOf();
    const set = (value: number) => () =>
      model.setWeights([
        tf.tensor1d([1, value]),
        tf.tensor1d([value, 1]),
        ones(),
        ones(),
      ]);
    expectRefused(model, set(NaN), 'bn/gamma holds NaN, at index 1', 'bn/beta holds NaN');
    set(-2)();
    expect(values(model).slice(0, 2)).toEqual([
      [1, -2],
      [-2, 1],
    ]);
  });

  test('of a layer, and by the argument weights', () => {
    const layer = resBatchNorm({name: 'bn'});
    layer.build([null, 2]);
    expect(() => layer.setWeights(given(NaN))).toThrow(
      "The weights of 'bn' can't be set:\n  bn/moving_variance holds NaN".replace(
        'bn/m',
        'm',
      ),
    );
    const ofMeans = resBatchNorm({name: 'means'});
    ofMeans.apply(tf.ones([2, 2]));
    expect(() => ofMeans.setWeights(given(-1))).toThrow('moving_variance holds -1');
    const initialized = resBatchNorm({name: 'bn', weights: given(-1)});
    expect(() => initialized.apply(tf.ones([2, 2]))).toThrow('moving_variance holds -1');
  });

  test('those of a model that trains, into one that is frozen: refused by name', () => {
    const make = () => {
      const norm = resBatchNorm({name: 'next'});
      return {model: modelOf(norm), norm};
    };
    const {model: from} = make();
    const {model: to, norm} = make();
    norm.trainable = false;
    expectRefused(
      to,
      () => to.setWeights(from.getWeights()),
      'bn/moving_mean would be set to next/gamma',
      'The order of weights depends on which layers are frozen: freeze the same layers in ' +
        'both models, or match the weights by name. Nothing was set.',
    );
    norm.trainable = true;
    to.setWeights(from.getWeights());
  });

  test('variables of the user, of any name, are set', () => {
    const model = modelOf();
    for (const name of [undefined, 'shadow', 'my/gamma_ema']) {
      const shadows = model
        .getWeights()
        .map((weight, i) => tf.variable(weight, false, name && `${name}_${i}`));
      expect(() => model.setWeights(shadows)).not.toThrow();
      tf.dispose(shadows);
    }
  });

  test('an average of counts that is no integer is refused by name', () => {
    const count = (layer: ResBatchNorm) => layer.weights.at(-1)!;
    const layers = [1, 2].map(() => resBatchNorm({name: 'bn', momentum: null}));
    for (const layer of layers) layer.apply(tf.ones([2, 2]), {training: true});
    const averaged = layers[0].getWeights().map(weight => tf.div(weight, 2));
    expect(() => layers[1].setWeights(averaged)).toThrow(
      `${count(layers[1]).originalName} must be of type int32, and is of type float32\n` +
        'Averages of weights must leave counts out, or round them. Nothing was set.',
    );
  });

  test('tfjs-layers says what is wrong with their number and their shapes', () => {
    const model = modelOf();
    const set = (weights: unknown[]) => () => model.setWeights(weights as tf.Tensor[]);
    expect(set([])).toThrow('with a weight list of length 0');
    expect(set([...given(NaN), ones()])).toThrow('with a weight list of length 5');
    const wrongShape = 'not compatible with provided weight shape';
    expect(set([...given(1).slice(1), tf.ones([3])])).toThrow(wrongShape);
    expect(set([1, 2, 3, 4])).toThrow(wrongShape);
  });

  test('other layers beside a ResBatchNorm take what they did', () => {
    const dense = tfl.layers.dense({units: 2, useBias: false});
    const model = modelOf(dense);
    const kernel = tf.variable(tf.fill([2, 2], -Infinity), true, 'of/another_name');
    const [gamma, beta, ...statistics] = given(1);
    model.setWeights([gamma, beta, kernel, ...statistics]);
    expect(Array.from(dense.getWeights()[0].dataSync())).toEqual(
      Array(4).fill(-Infinity),
    );
  });

  test('layers without a ResBatchNorm take what they did', () => {
    const model = tfl.sequential({
      layers: [tfl.layers.dense({units: 1, inputShape: [1]})],
    });
    model.setWeights([tf.tensor2d([[NaN]]), tf.tensor1d([NaN])]);
    expect(values(model)).toEqual([[NaN], [NaN]]);
  });
});
