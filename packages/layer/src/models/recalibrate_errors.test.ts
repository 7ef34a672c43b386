/** Errors change nothing and leave nothing behind. */
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {setWeights} from '../../test/models.js';
import {resBatchNorm, type ResBatchNormArgs} from '../index.js';
import {freezeBatchNorm} from './freeze.js';
import type {Batches} from './recalibrated_batches.js';
import {recalibrate} from './recalibrate.js';

const exact = {rtol: 0, atol: 0};
const {layers} = tfl;

/** A batch far from the others, so that the variance of the means counts. */
function batch(seed: number, shape: number[]): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    normalValues(size, {seed, mean: 3 * seed, standardDeviation: seed}),
    shape,
  );
}

const bn = (args: ResBatchNormArgs = {}) => resBatchNorm({name: 'bn', ...args});

function sequential(...all: tfl.layers.Layer[]): tfl.LayersModel {
  const model = tfl.sequential({layers: all});
  setWeights(model);
  return model;
}

const unchanged = async (
  attempt: (model: tfl.LayersModel) => Promise<unknown>,
  message: string,
) => {
  const model = sequential(
    bn({inputShape: [4]}),
    layers.batchNormalization({name: 'built_in'}),
  );
  const before = model.getWeights().map(w => tf.clone(w));
  const tensors = tf.memory().numTensors;
  await expect(attempt(model)).rejects.toThrow(message);
  expect(tf.memory().numTensors).toBe(tensors);
  for (const [i, w] of model.getWeights().entries()) {
    await expect(w).toBeAllclose(before[i], exact);
  }
  for (const layer of model.layers) expect(Object.hasOwn(layer, 'call')).toBe(false);
};
const x = () => batch(1, [3, 4]);

const wrong: [string, () => unknown, string][] = [
  ['no batch', () => [], 'recalibrate: batches must have a batch. Received: none'],
  ['no iterable', () => 5, 'or a dataset of tf.data. Received: 5'],
  ['a tensor', () => x(), 'or a dataset of tf.data. Received: a tensor of shape [3,4]'],
  [
    'a wrong shape, after a right one',
    () => [x(), batch(1, [3, 5])],
    `batch 1 must have an input 'bn_input' of shape [null,4]. Received: [3,5]`,
  ],
  [
    'several inputs',
    () => [[x(), x()]],
    'batch 0 must have one tensor, the input. Received: [',
  ],
  ['no tensor', () => [{xs: [1, 2]}], 'batch 0 must have one tensor, the input'],
  [
    'too little data',
    () => [batch(1, [1, 4])],
    `the batches can't be used:\n  'bn' must meet at least 2 values of each channel, and met 1` +
      `\n  'built_in' must meet at least 2 values of each channel, and met 1\n`,
  ],
  [
    'empty batches alone',
    () => [tf.zeros([0, 4])],
    "'bn' must meet at least 2 values of each channel, and met 0",
  ],
  [
    'a NaN',
    () => [x(), tf.fill([2, 4], NaN)],
    "'bn' met values that are not finite, or too large",
  ],
];
test.each(wrong)('%s', async (_, batches, message) => {
  const made = batches();
  await unchanged(model => recalibrate(model, made as Batches), message);
});

test('an iteration that throws', async () => {
  const first = x();
  function* broken() {
    yield first;
    throw new Error('no more');
  }
  await unchanged(model => recalibrate(model, broken()), 'no more');
});

test('a layer that throws', async () => {
  const batches = [x()];
  await unchanged(model => {
    model.layers[0].setCallHook(() => {
      throw new Error('hooked');
    });
    return recalibrate(model, batches);
  }, 'hooked');
});

test.each([[0], [1.5], ['2']])('steps %p', async steps => {
  const batches = [x()];
  await unchanged(
    model => recalibrate(model, batches, {steps: steps as number}),
    'recalibrate: steps must be a positive integer. Received: ',
  );
});

test('nothing to recalibrate', async () => {
  const none = sequential(layers.dense({units: 2, inputShape: [4]}));
  await expect(recalibrate(none, [x()])).rejects.toThrow(
    'not frozen. Received: a model with no batch norm',
  );
  const model = sequential(
    bn({inputShape: [4]}),
    bn({name: 'untracked', trackMovingStatistics: false}),
  );
  freezeBatchNorm(model);
  await expect(recalibrate(model, [x()])).rejects.toThrow(
    "Received: a model with batch norms that are frozen or have none: 'bn', 'untracked'",
  );
});

test('what is no model', async () => {
  await expect(recalibrate(null as never, [])).rejects.toThrow(
    'recalibrate: model must be a LayersModel',
  );
});
