import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorm} from '../index.js';
import {exportStatistics} from './exchange.js';
import {importStatistics, type ImportStatisticsOptions} from './exchange.js';

const exact = {rtol: 0, atol: 0};
const {layers} = tfl;

/** dense, bn, [built_in], wrapped. */
function make(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      layers.dense({units: 3, inputShape: [2, 4], name: 'dense'}),
      resBatchNorm({name: 'bn'}),
      tfl.sequential({
        layers: [
          layers.batchNormalization({name: 'built_in', scale: false, inputShape: [2, 3]}),
        ],
      }),
      layers.timeDistributed({layer: resBatchNorm({name: 'wrapped'})}),
    ],
  });
}

const single = () =>
  tfl.sequential({layers: [resBatchNorm({name: 'bn', inputShape: [2]})]});

/** Tensors of two channels by name, with values of their own. */
function tensors(...names: string[]): tf.NamedTensorMap {
  return Object.fromEntries(
    names.map((name, i) => [name, tf.tensor1d([i + 1, i + 0.5])]),
  );
}

/** Expects the import to fail and to change nothing. */
async function refused(
  file: unknown,
  options: unknown,
  message: string,
  model: tfl.LayersModel = single(),
) {
  const before = model.getWeights().map(weight => tf.clone(weight));
  const count = tf.memory().numTensors;
  await expect(
    importStatistics(
      model,
      file as tf.NamedTensorMap,
      options as ImportStatisticsOptions,
    ),
  ).rejects.toMatchObject({
    name: 'ValueError',
    message: expect.stringContaining(`importStatistics: ${message}`),
  });
  expect(tf.memory().numTensors).toBe(count);
  for (const [i, weight] of model.getWeights().entries()) {
    await expect(weight).toBeAllclose(before[i], exact);
  }
}

test('all that is missing, misshapen, extra or no good is listed', async () => {
  const model = make();
  const file = exportStatistics(model);
  delete file['bn/moving_mean'];
  file['wrapped/beta'] = tf.zeros([4]);
  file['wrapped/moving_variance'] = tf.tensor1d([1, -2, 1]);
  file['bn/gamma'] = tf.tensor1d([1, 1, NaN]);
  file['built_in/gamma'] = tf.ones([3]);
  Object.assign(file, tensors('other/moving_mean', 'other/beta', 'layer_norm/gamma'));
  await refused(
    file,
    {from: 'keras'},
    `the tensors do not fit model '${model.name}':\n` +
      `  bn/moving_mean is missing, for layer 'bn'\n` +
      `  wrapped/beta has shape [4], expected [3], for layer 'wrapped'\n` +
      `  built_in/gamma is extra: no batch norm of the model has it\n` +
      `  other/moving_mean is extra: no batch norm of the model has it\n` +
      `  other/beta is extra: no batch norm of the model has it\n` +
      `  bn/gamma holds NaN, at index 2\n` +
      `  wrapped/moving_variance holds -2, at index 1\n` +
      `Nothing was changed.`,
    model,
  );
});

test('a model that is not in the file at all', async () => {
  await refused(
    {},
    {from: 'pytorch'},
    `the tensors do not fit model 'sequential`,
    single(),
  );
  await refused({}, {from: 'tf1'}, 'the tensors do not fit model');
});

test('both scopes of tf1', async () => {
  const names = ['gamma', 'beta', 'moving_mean', 'moving_variance'];
  const both = ['bn/', 'bn/BatchNorm/'].flatMap(p => names.map(name => p + name));
  const model = single();
  await refused(
    tensors(...both),
    {from: 'tf1'},
    `the tensors do not fit model '${model.name}':\n` +
      `  bn/gamma is extra: no batch norm of the model has it\n`,
    model,
  );
});

const file = () => exportStatistics(single());
test.each([
  ['from', () => ({from: 'jax'}), `from must be one of 'tf1', 'keras', 'pytorch'`],
  ['no options', () => undefined, 'from must be one of'],
  ['names', () => ({from: 'keras', names: 5}), 'names must be an object from the names'],
  [
    'names of other layers',
    () => ({from: 'keras', names: {bm: 'bn'}}),
    `names must be for batch norms of the model, which are 'bn'. Received: ["bm"]`,
  ],
  [
    'an empty name',
    () => ({from: 'keras', names: {bn: ''}}),
    `names must give each layer a string that is not empty. Received: "" for 'bn'`,
  ],
  [
    'no name',
    () => ({from: 'keras', names: () => undefined}),
    `names must give each layer a string that is not empty. Received: undefined`,
  ],
])('%s', async (_, options, message) => {
  await refused(file(), options(), message);
});

test.each([[null], [[1]], [{x: 1}]])('tensors %p', async wrong => {
  await refused(wrong, {from: 'keras'}, 'tensors must be an object of tensors by name');
});

test('two layers of one name', async () => {
  const names = () => 'bn';
  const message = `each batch norm must have a name of its own in the file. Received: 'bn'`;
  await refused(file(), {from: 'keras', names}, message, make());
  expect(() => exportStatistics(make(), {names})).toThrow(`exportStatistics: ${message}`);
});

test('of the export', () => {
  expect(() => exportStatistics(single(), {to: 'jax' as never})).toThrow(
    `exportStatistics: to must be one of 'tf1', 'keras', 'pytorch'. Received: "jax"`,
  );
  expect(() => exportStatistics({} as never)).toThrow(
    'exportStatistics: model must be a LayersModel',
  );
  const none = tfl.sequential({layers: [layers.dense({units: 1, inputShape: [2]})]});
  expect(() => exportStatistics(none)).toThrow(
    `exportStatistics: model must have a batch norm. Received: the model '${none.name}'`,
  );
});
