import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import {prepareInference} from './inference.js';

beforeAll(() => useBackend('cpu'));

it('predicts with models of the same parameters, and leaves no tensor behind', async () => {
  const before = tf.memory().numTensors;
  const {contenders, parameters, dispose} = prepareInference({
    name: 'MobileNet style',
    imageShape: [32, 32, 3],
    batchSize: 2,
  });
  const {none, ...withNorm} = parameters!;
  expect(new Set(Object.values(withNorm)).size).toBe(1);
  expect(none).toBeLessThan(withNorm.ours);
  for (const contender of Object.values(contenders)) await contender(1);
  dispose();
  expect(tf.memory().numTensors).toBe(before);
});
