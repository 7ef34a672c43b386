/** A program with two copies of tfjs-layers, where `instanceof` does not tell layers. */
import type {resBatchNorm} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {compile, makeBatch} from '../test/models';
import {MovingStatisticsSummary, SummarySeries, UpdateOpsCheck} from '.';

let otherTfl: typeof tfl;

beforeAll(async () => {
  jest.doMock('@tensorflow/tfjs-core', () => tf);
  await jest.isolateModulesAsync(async () => {
    otherTfl = await import('@tensorflow/tfjs-layers');
  });
});

function otherModel(): tfl.LayersModel {
  const layers = [
    otherTfl.layers.dense({units: 4, inputShape: [3]}),
    otherTfl.layers.batchNormalization({name: 'bn'}),
    otherTfl.layers.dense({units: 1}),
  ];
  return compile(otherTfl.sequential({layers}));
}

function fit(callbacks: tfl.Callback | tfl.Callback[]): Promise<tfl.History> {
  const {xs, ys} = makeBatch();
  return otherModel().fit(xs, ys, {verbose: 0, callbacks});
}

test('step checks a model of the other copy', async () => {
  const {xs, ys} = makeBatch();
  const model = otherModel();
  const check = new UpdateOpsCheck();
  expect(model).not.toBeInstanceOf(tfl.LayersModel);
  await check.step(model, () => model.trainOnBatch(xs, ys));
  expect(check.report()).toMatchObject([{layer: 'bn', steps: 1, updates: 1}]);
});

test('fit of the other copy takes the check behind a callback of its own', async () => {
  const check = new UpdateOpsCheck();
  await fit([otherTfl.callbacks.earlyStopping({monitor: 'loss'}), check]);
  expect(check.report()).toMatchObject([{layer: 'bn', steps: 1, updates: 1}]);
});

test('fit of the other copy takes the check for a plain object, which is an error', async () => {
  await expect(fit(new UpdateOpsCheck())).rejects.toThrow(
    'The model must come from the same copy of @tensorflow/tfjs-layers as the callbacks.',
  );
});

test('MovingStatisticsSummary sees the layers of other copies', async () => {
  let otherResBatchNorm: typeof resBatchNorm;
  await jest.isolateModulesAsync(async () => {
    jest.doMock('@tensorflow/tfjs-layers', () => otherTfl);
    ({resBatchNorm: otherResBatchNorm} = await import('@resbatchnorm/layer'));
  });
  const model = otherTfl.sequential({
    layers: [
      otherTfl.layers.dense({units: 4, inputShape: [3]}),
      otherResBatchNorm!({name: 'own'}),
      otherTfl.layers.batchNormalization({name: 'built_in'}),
      otherTfl.layers.dense({units: 1}),
    ],
  });
  const {xs, ys} = makeBatch();
  const series = new SummarySeries();
  await compile(model).fit(xs, ys, {
    verbose: 0,
    callbacks: [
      otherTfl.callbacks.earlyStopping({monitor: 'loss'}),
      new MovingStatisticsSummary({writer: series}),
    ],
  });
  expect(model.layers[1]).not.toBeInstanceOf(tfl.layers.Layer);
  expect(series.scalarTags).toEqual(
    expect.arrayContaining(['own/mean_distance', 'built_in/mean_distance']),
  );
});
