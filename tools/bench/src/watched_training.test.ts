import '@tensorflow/tfjs-backend-cpu';
import type {ImageDataset} from '@resbatchnorm/resnet';
import * as tf from '@tensorflow/tfjs-core';

import type {Network} from './requests.js';
import {watchTraining} from './watched_training.js';

const network: Network = {name: 'ResNet-8', imageShape: [4, 4, 1], batchSize: 2};

const images = (count: number) => ({
  pixels: Uint8Array.from({length: count * 16}, (_, i) => (i * 37) % 256),
  labels: Uint8Array.from({length: count}, (_, i) => i % 10),
});

const dataset: ImageDataset = {
  title: 'made up',
  imageShape: [4, 4, 1],
  numClasses: 10,
  train: images(20),
  test: images(1),
};

beforeAll(() => {
  // Without it the cpu backend prints a banner.
  tf.enableProdMode();
  return tf.setBackend('cpu');
});

it.each([true, false])(
  'times each callback, due %s, and leaves no tensor',
  async isAllDue => {
    const {numTensors} = tf.memory();
    const size = {epochs: 2, stepsPerEpoch: 3, isAllDue};
    const {hooks, stepStarts, eventLoop} = await watchTraining(network, dataset, size);
    // The optimizer of tfjs keeps its learning rate, a scalar, when it is disposed of.
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    expect(stepStarts).toHaveLength(6);
    for (const times of [eventLoop, ...Object.values(hooks)]) {
      expect(times.steps).toHaveLength(6);
      expect(times.epochEnds).toHaveLength(2);
    }
    expect(Object.keys(hooks)).toEqual([
      'UpdateOpsCheck',
      'PhaseGapCheck',
      'MovingStatisticsSummary',
      'ModelCheckpoint',
      'EarlyStopping',
      'ProgressBar',
    ]);
  },
);
