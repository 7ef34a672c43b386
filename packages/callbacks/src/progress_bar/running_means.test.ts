import * as tf from '@tensorflow/tfjs-core';

import {RunningMeans} from './running_means';

test('means over the examples of all steps that were added', async () => {
  const means = new RunningMeans();
  await means.add({batch: 0, size: 8, loss: 3, acc: tf.scalar(0.25)});
  await means.add({batch: 1, size: 4, loss: 0, acc: tf.scalar(1)});
  expect(means.get()).toEqual({loss: 2, acc: 0.5});
});
