import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {functional, on} from '../test/models.js';
import {resBatchNorm} from './index.js';

describe('disposed, nothing is left', () => {
  const inModel = (layer: tfl.layers.Layer) => functional([3, 2], x => on(layer, x));
  const x = () => tf.ones([2, 3, 2]);

  test.each<[string, () => void]>([
    [
      'a layer that was called',
      () => {
        const layer = resBatchNorm();
        tf.tidy(() => void layer.apply(x(), {training: true}));
        layer.dispose();
      },
    ],
    ['a model', () => void inModel(resBatchNorm()).dispose()],
    ['a nested model', () => void inModel(inModel(resBatchNorm())).dispose()],
    [
      'a time-distributed layer',
      () => void inModel(tfl.layers.timeDistributed({layer: resBatchNorm()})).dispose(),
    ],
    [
      'a Sequential around a model',
      () => void tfl.sequential({layers: [inModel(resBatchNorm())]}).dispose(),
    ],
    [
      'weights, one by one',
      () => {
        const layer = resBatchNorm({renorm: true});
        layer.build([null, 2]);
        for (const weight of layer.weights) weight.dispose();
      },
    ],
  ])('%s', (_name, run) => {
    const before = tf.memory().numTensors;
    run();
    expect(tf.memory().numTensors).toBe(before);
  });
});

test('the count of skipped updates of a layer that was disposed: an error that says so', async () => {
  const layer = resBatchNorm({name: 'bn'});
  layer.build([null, 2]);
  expect(await layer.readSkippedUpdateCount()).toBe(0);
  for (const weight of layer.weights) weight.dispose();
  await expect(layer.readSkippedUpdateCount()).rejects.toThrow(
    "ResBatchNorm 'bn': the count of skipped updates can't be read: the layer was disposed",
  );
});
