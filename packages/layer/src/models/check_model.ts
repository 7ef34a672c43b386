import * as tfl from '@tensorflow/tfjs-layers';

import {describe, ValueError} from '../errors.js';

/**
 * @param caller The function that was called, for the message.
 * @throws ValueError if it is not a model of this copy of tfjs-layers, or has no layers.
 */
export function checkModel(
  caller: string,
  model: unknown,
): asserts model is tfl.LayersModel {
  if (!(model instanceof tfl.LayersModel)) {
    const isOther = typeof model === 'object' && model !== null && 'layers' in model;
    throw new ValueError(
      `${caller}: model must be a LayersModel, as tf.sequential() and tf.model() make it. ` +
        `Received: ${describe(model)}` +
        (isOther ? ' that is none of this copy of @tensorflow/tfjs-layers' : ''),
    );
  }
  if (model.outputs.length === 0) {
    throw new ValueError(
      `${caller}: model must have been built. Received: the model '${model.name}', which ` +
        'has no layers',
    );
  }
}
