import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {expectSamePredictions, setWeights} from '../../test/models.js';
import {resBatchNorm, type ResBatchNormArgs} from '../index.js';
import {exportStatistics} from './exchange.js';
import type {StatisticsFormat} from './names.js';
import {importStatistics} from './exchange.js';
import {decodeSafetensors} from './safetensors.js';
import {encodeSafetensors} from './safetensors.js';

const exact = {rtol: 0, atol: 0};
const {layers} = tfl;

/** dense, bn, [built_in], wrapped. */
function make(args: ResBatchNormArgs = {}): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      layers.dense({units: 3, inputShape: [2, 4], name: 'dense'}),
      resBatchNorm({name: 'bn', ...args}),
      tfl.sequential({
        layers: [
          layers.batchNormalization({name: 'built_in', scale: false, inputShape: [2, 3]}),
        ],
      }),
      layers.timeDistributed({layer: resBatchNorm({name: 'wrapped'})}),
    ],
  });
}

const single = (args: ResBatchNormArgs = {}) =>
  tfl.sequential({layers: [resBatchNorm({name: 'bn', inputShape: [2], ...args})]});

const weights = (model: tfl.LayersModel) =>
  Object.fromEntries(
    model.weights.map(w => [w.originalName.split('/').pop()!, w.read() as tf.Tensor]),
  );

/** Tensors of two channels by name, with values of their own. */
function tensors(...names: string[]): tf.NamedTensorMap {
  return Object.fromEntries(
    names.map((name, i) => [name, tf.tensor1d([i + 1, i + 0.5])]),
  );
}

describe.each(['tf1', 'keras', 'pytorch'] as const)('%s', format => {
  test('what is exported is imported, through a file', async () => {
    const model = make();
    setWeights(model);
    const before = tf.memory().numTensors;
    const exported = exportStatistics(model, {to: format});
    expect(tf.memory().numTensors).toBe(before + Object.keys(exported).length);
    const file = decodeSafetensors(await encodeSafetensors(exported));
    const other = make();
    other.layers[0].setWeights(model.layers[0].getWeights());
    await expect(expectSamePredictions(other, model)).rejects.toThrow();
    const imported = await importStatistics(other, file, {from: format});
    expect(imported).toEqual(['bn', 'built_in', 'wrapped']);
    await expectSamePredictions(other, model, exact);
  });

  test('nothing leaks, and the weights are of their own', async () => {
    const model = make();
    setWeights(model);
    const before = tf.memory().numTensors;
    const exported = exportStatistics(model, {to: format});
    await importStatistics(model, exported, {from: format});
    tf.dispose(exported);
    expect(tf.memory().numTensors).toBe(before);
    const reference = make();
    setWeights(reference);
    await expectSamePredictions(model, reference, exact);
  });
});

test('the names', () => {
  const names = (to?: StatisticsFormat) => Object.keys(exportStatistics(make(), {to}));
  expect(names()).toEqual([
    'bn/gamma',
    'bn/beta',
    'bn/moving_mean',
    'bn/moving_variance',
    'built_in/beta',
    'built_in/moving_mean',
    'built_in/moving_variance',
    'wrapped/gamma',
    'wrapped/beta',
    'wrapped/moving_mean',
    'wrapped/moving_variance',
  ]);
  expect(names('keras')).toEqual(names());
  expect(names('tf1').slice(0, 5)).toEqual([
    'bn/BatchNorm/gamma',
    'bn/BatchNorm/beta',
    'bn/BatchNorm/moving_mean',
    'bn/BatchNorm/moving_variance',
    'built_in/BatchNorm/beta',
  ]);
  expect(names('pytorch').slice(0, 5)).toEqual([
    'bn.weight',
    'bn.bias',
    'bn.running_mean',
    'bn.running_var',
    'built_in.bias',
  ]);
  const counting = exportStatistics(single({momentum: null}), {to: 'pytorch'});
  expect(counting['bn.num_batches_tracked'].dtype).toBe('int32');
});

describe('each weight goes to its place', () => {
  const places: [string, StatisticsFormat, string[]][] = [
    ['bn/', 'keras', ['gamma', 'beta', 'moving_mean', 'moving_variance']],
    ['bn/BatchNorm/', 'tf1', ['gamma', 'beta', 'moving_mean', 'moving_variance']],
    ['bn/', 'tf1', ['gamma', 'beta', 'moving_mean', 'moving_variance']],
    ['bn.', 'pytorch', ['weight', 'bias', 'running_mean', 'running_var']],
  ];
  test.each(places)('%s of %s', async (prefix, from, names) => {
    const model = single();
    const suffix = from === 'pytorch' ? '' : ':0';
    const file = tensors(...names.map(name => prefix + name + suffix));
    await importStatistics(model, file, {from});
    const {gamma, beta, moving_mean, moving_variance} = weights(model);
    await expect(gamma).toBeAllclose([1, 0.5], exact);
    await expect(beta).toBeAllclose([2, 1.5], exact);
    await expect(moving_mean).toBeAllclose([3, 2.5], exact);
    await expect(moving_variance).toBeAllclose([4, 3.5], exact);
  });
});

test("a PyTorch model's file, whose other layers are left alone", async () => {
  const file = {
    'conv1.weight': tf.ones([2, 1, 3, 3]),
    'conv1.bias': tf.ones([5]),
    ...tensors('bn1.weight', 'bn1.bias', 'bn1.running_mean', 'bn1.running_var'),
    'bn1.num_batches_tracked': tf.scalar(9, 'int32'),
    step: tf.scalar(1),
  };
  const model = single({momentum: null});
  await importStatistics(model, file, {from: 'pytorch', names: {bn: 'bn1'}});
  await expect(weights(model).num_batches_tracked).toBeAllclose([9], exact);
  await importStatistics(single(), file, {from: 'pytorch', names: name => `${name}1`});
});

test("names of TensorFlow 1, with an optimizer's variables", async () => {
  const scope = 'net/unit_1/BatchNorm';
  const file = {
    ...tensors(
      `${scope}/gamma`,
      `${scope}/beta`,
      `${scope}/moving_mean`,
      `${scope}/moving_variance`,
      `${scope}/gamma/Momentum`,
      `${scope}/moving_mean/biased`,
      'net/unit_1/weights',
    ),
    global_step: tf.scalar(1),
  };
  const model = single();
  await importStatistics(model, file, {from: 'tf1', names: {bn: 'net/unit_1'}});
  await expect(weights(model).moving_mean).toBeAllclose([3, 2.5], exact);
  const exported = exportStatistics(model, {to: 'tf1', names: {bn: 'net/unit_1'}});
  expect(Object.keys(exported)[0]).toBe(`${scope}/gamma`);
});

describe('the further weights of a ResBatchNorm', () => {
  const further: ResBatchNormArgs[] = [
    {renorm: true},
    {momentum: null},
    {zeroDebiasMovingMean: true},
  ];
  test.each(further)('%p: none is lost in the keras format', async args => {
    const [model, other] = [single(args), single(args)];
    setWeights(model);
    tf.dispose(model.apply(tf.ones([3, 2]), {training: true}) as tf.Tensor);
    await importStatistics(other, exportStatistics(model), {from: 'keras'});
    for (const [i, weight] of other.getWeights().entries()) {
      await expect(weight).toBeAllclose(model.getWeights()[i], exact);
    }
  });

  const file = () =>
    tensors('bn/gamma', 'bn/beta', 'bn/moving_mean', 'bn/moving_variance');
  const x = () =>
    tf.tensor2d([
      [1, 2],
      [5, 3],
    ]);

  test('renorm from tf1: training goes on from the statistics', async () => {
    const model = single({renorm: true, momentum: 0.75});
    await importStatistics(model, file(), {from: 'tf1'});
    tf.dispose(model.apply(x(), {training: true}) as tf.Tensor);
    const {moving_mean, moving_variance} = weights(model);
    await expect(moving_mean).toBeAllclose([3, 2.5]);
    const next = (moving: number, batch: number) =>
      (0.75 * Math.sqrt(moving + 1e-3) + 0.25 * Math.sqrt(batch + 1e-3)) ** 2 - 1e-3;
    await expect(moving_variance).toBeAllclose([next(4, 4), next(3.5, 0.25)]);
  });

  test('zero-debiased from keras: likewise', async () => {
    const model = single({zeroDebiasMovingMean: true, momentum: 0.75});
    await importStatistics(model, file(), {from: 'keras'});
    tf.dispose(model.apply(x(), {training: true}) as tf.Tensor);
    const {moving_mean, moving_variance} = weights(model);
    await expect(moving_mean).toBeAllclose([3, 2.5]);
    await expect(moving_variance).toBeAllclose([4, 0.75 * 3.5 + 0.25 * 0.25]);
  });

  test('no moving statistics', async () => {
    const model = single({trackMovingStatistics: false});
    await importStatistics(model, tensors('bn.weight', 'bn.bias'), {from: 'pytorch'});
    await expect(weights(model).beta).toBeAllclose([2, 1.5], exact);
    const more = tensors('bn.weight', 'bn.bias', 'bn.running_var');
    await expect(importStatistics(model, more, {from: 'pytorch'})).rejects.toThrow(
      'bn.running_var is extra',
    );
  });
});
