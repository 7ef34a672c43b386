import * as tf from '@tensorflow/tfjs-core';

import {batchNorms, normFields} from '../src/batch_norms';
import {
  exportStatistics,
  foldBatchNorm,
  freezeBatchNorm,
  importStatistics,
  recalibrate,
  replaceBatchNorm,
} from '../src/index';
import {tfKerasModel} from './tf_keras_model';

const close = {rtol: 1e-4, atol: 1e-4};

test('its axes are lists of one, which are their numbers here', async () => {
  const {model, input, predictions} = await tfKerasModel();
  const layers = batchNorms(model).map(({layer}) => layer);
  expect(layers.map(({name}) => name)).toEqual(['after_conv', 'nested', 'after_dense']);
  expect(layers.map(layer => layer.getConfig().axis)).toEqual([[3], [3], [1]]);
  expect(layers.map(layer => normFields(layer).axis)).toEqual([3, 3, 1]);
  await expect(model.predict(input) as tf.Tensor).toBeAllclose(predictions, close);
});

test('replaced by ResBatchNorm and back, it predicts the same', async () => {
  const {model, input, predictions} = await tfKerasModel();
  const replaced = replaceBatchNorm(model, {to: 'ResBatchNorm'});
  expect(batchNorms(replaced).map(({layer}) => layer.getConfig().axis)).toEqual([
    3, 3, 1,
  ]);
  const back = replaceBatchNorm(replaced, {to: 'BatchNormalization'});
  for (const made of [replaced, back]) {
    await expect(made.predict(input) as tf.Tensor).toBeAllclose(predictions, close);
  }
});

test('all of it folds, and predicts the same', async () => {
  const {model, input, predictions} = await tfKerasModel();
  const {model: folded, kept} = await foldBatchNorm(model);
  expect(kept).toEqual([]);
  await expect(folded.predict(input) as tf.Tensor).toBeAllclose(predictions, close);
});

test('recalibrated, it has the statistics that its replacement has', async () => {
  const {model, input} = await tfKerasModel();
  const replaced = replaceBatchNorm(model, {to: 'ResBatchNorm'});
  for (const made of [model, replaced]) await recalibrate(made, [input]);
  for (const [i, weight] of replaced.getWeights().entries()) {
    await expect(weight).toBeAllclose(model.getWeights()[i], close);
  }
});

test('its statistics are exported, imported and frozen', async () => {
  const {model} = await tfKerasModel();
  const tensors = exportStatistics(model);
  expect(Object.keys(tensors)).toHaveLength(11);
  const names = ['after_conv', 'nested', 'after_dense'];
  expect(await importStatistics(model, tensors, {from: 'keras'})).toEqual(names);
  expect(freezeBatchNorm(model)).toEqual(names);
});
