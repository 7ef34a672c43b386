/** A model that tf.keras of TensorFlow 2 wrote: its axes are lists of one. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {replaceBatchNorm} from '@resbatchnorm/layer';
import {batchNorms} from '@resbatchnorm/layer/introspection';

import {tfKerasModel} from '../../layer/test/tf_keras_model';
import {useFolder} from '../test/checkpoint_folder';
import {MovingStatisticsSummary, PhaseGapCheck, SummarySeries, UpdateOpsCheck} from '.';
import {ModelCheckpoint, resume} from './node';

const folder = useFolder();

const EXAMPLES = 24;
const EPOCHS = 3;

interface Training {
  model: tfl.LayersModel;
  xs: tf.Tensor;
  ys: tf.Tensor;
}

type Change = (model: tfl.LayersModel) => tfl.LayersModel | Promise<tfl.LayersModel>;

/** The built-in layer fails in training if it has no gamma or no beta, as one of these. */
async function withGammaAndBeta(model: tfl.LayersModel): Promise<tfl.LayersModel> {
  const json = JSON.stringify(model.toJSON(null, false));
  const modelTopology = JSON.parse(json.replace(/"(scale|center)":false/g, '"$1":true'));
  return tfl.loadLayersModel(tf.io.fromMemory({modelTopology}));
}

/** Compiled, with inputs and targets of its shapes. */
async function prepare(change: Change): Promise<Training> {
  const {model: loaded} = await tfKerasModel();
  const model = await change(loaded);
  model.compile({loss: 'meanSquaredError', optimizer: tf.train.momentum(0.01, 0.9)});
  const [, ...inputShape] = model.inputs[0].shape as number[];
  const [, ...outputShape] = model.outputs[0].shape as number[];
  return {
    model,
    xs: tf.randomNormal([EXAMPLES, ...inputShape], 1, 2, 'float32', 7),
    ys: tf.randomUniform([EXAMPLES, ...outputShape], 0, 1, 'float32', 8),
  };
}

function fit({model, xs, ys}: Training, callbacks: tfl.Callback, epochs = EPOCHS) {
  const args = {batchSize: 8, shuffle: false, verbose: 0} as const;
  return model.fit(xs, ys, {...args, epochs, callbacks});
}

const names = ['after_conv', 'nested', 'after_dense'];

test('PhaseGapCheck compares the modes of the model as it was written', async () => {
  const {model, xs, ys} = await prepare(loaded => loaded);
  const check = new PhaseGapCheck({data: {xs, ys}, onGap: () => {}});
  const {layers} = await check.check(model);
  expect(layers.map(({layer}) => layer)).toEqual(
    names.map(name => expect.stringContaining(name)),
  );
});

describe.each<[string, Change]>([
  ['with built-in batch norms', withGammaAndBeta],
  ['with ResBatchNorms', model => replaceBatchNorm(model, {to: 'ResBatchNorm'})],
])('%s', (_name, change) => {
  test('its axes are lists of one where they were', async () => {
    const {model} = await prepare(change);
    const axes = batchNorms(model).map(({layer}) => layer.getConfig().axis);
    expect(axes).toEqual(change === withGammaAndBeta ? [[3], [3], [1]] : [3, 3, 1]);
  });

  test('UpdateOpsCheck passes, in fit and in a loop', async () => {
    const training = await prepare(change);
    const check = new UpdateOpsCheck();
    await fit(training, check);
    const {model, xs, ys} = training;
    await check.step(model, () => model.trainOnBatch(xs, ys));
    expect(check.report()).toMatchObject(
      names.map(name => ({
        layer: expect.stringContaining(name),
        steps: 10,
        updates: 10,
        violations: 0,
      })),
    );
  });

  test('PhaseGapCheck measures each layer, and ends nothing', async () => {
    const training = await prepare(change);
    const {xs, ys} = training;
    const check = new PhaseGapCheck({data: {xs, ys}, onGap: () => {}});
    const {epoch} = await fit(training, check);
    expect(epoch).toHaveLength(EPOCHS);
    for (const {layers} of check.report()) {
      expect(layers.map(({layer}) => layer)).toEqual(
        names.map(name => expect.stringContaining(name)),
      );
      expect(layers.every(({distance}) => Number.isFinite(distance))).toBe(true);
    }
  });

  test('MovingStatisticsSummary has histograms and distances of each layer', async () => {
    const series = new SummarySeries();
    const summary = new MovingStatisticsSummary({writer: series, everySteps: 1});
    await fit(await prepare(change), summary);
    const distances = series.scalarTags.filter(tag => tag.endsWith('/mean_distance'));
    expect(distances).toHaveLength(names.length);
    for (const tag of distances) {
      expect(series.lineChart(tag).values[0]).toHaveLength(3 * EPOCHS);
      const bars = series.barChart(tag.replace('mean_distance', 'moving_mean'));
      expect(bars.reduce((sum, {value}) => sum + value, 0)).toBeGreaterThan(0);
    }
  });

  test('ModelCheckpoint goes on as if there had been no stop', async () => {
    const [whole, stopped] = [await prepare(change), await prepare(change)];
    stopped.model.setWeights(whole.model.getWeights());
    await fit(whole, new UpdateOpsCheck(), 2);
    await fit(stopped, new ModelCheckpoint({path: folder()}), 1);
    const {model, epoch} = await resume(folder());
    const args = {batchSize: 8, shuffle: false, verbose: 0} as const;
    await model.fit(whole.xs, whole.ys, {...args, epochs: 2, initialEpoch: epoch});
    for (const [i, weight] of model.getWeights().entries()) {
      await expect(weight).toBeAllclose(whole.model.getWeights()[i], {
        rtol: 1e-4,
        atol: 1e-5,
      });
    }
  });
});
