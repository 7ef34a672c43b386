/** The prediction of a network on a batch, with each kind of norm and without one. */
import * as tf from '@tensorflow/tfjs-core';

import type {InferenceNetwork} from './cases.js';
import {type PreparedTask, tensorContender} from './contender.js';
import {mobileNet, mobileNetNorms} from './mobile_net.js';

export function prepareInference({
  imageShape,
  batchSize,
}: InferenceNetwork): PreparedTask {
  const images = tf.randomNormal([batchSize, ...imageShape], 0, 1, 'float32', 1);
  const models = mobileNetNorms.map(norm => [norm, mobileNet(imageShape, norm)] as const);
  return {
    contenders: Object.fromEntries(
      models.map(([norm, model]) => [
        norm,
        tensorContender(() => [model.predict(images) as tf.Tensor]),
      ]),
    ),
    parameters: Object.fromEntries(
      models.map(([norm, model]) => [norm, model.countParams()]),
    ),
    dispose() {
      images.dispose();
      for (const [, model] of models) model.dispose();
    },
  };
}
