/** The batch norms of a model in inference mode, and back. */
import type * as tfl from '@tensorflow/tfjs-layers';

import {batchNorms, isBuiltInBatchNorm, type Layer} from '../batch_norms.js';
import {holdInInferenceMode} from '../override_call.js';
import {checkModel} from './check_model.js';

/** The built-in layers that are held in inference mode, with what lets them go. */
const held = new WeakMap<Layer, () => void>();

/**
 * Puts all batch norms of a model in inference mode, those of nested models and in wrappers
 * included: they normalize by their moving statistics, which do not move, and gamma and beta
 * are not trained. No other layer is touched. This is how a network is fine-tuned on batches
 * too small for statistics of their own.
 *
 * Each gets `trainable = false`. For ResBatchNorm that means all of the above. The built-in
 * `tf.layers.batchNormalization` would go on normalizing by the batch, and its statistics would
 * go on drifting, so this holds it in inference mode as well. That belongs to the layer, and is
 * not saved with it: call this again on a model that was loaded, or use `replaceBatchNorm`.
 *
 * A model that is to be trained with `fit` must be compiled again afterwards, as after every
 * change of `trainable`.
 *
 * @returns The names of the model's batch norms, all of them frozen now.
 * @throws ValueError if it is not a model.
 */
export function freezeBatchNorm(model: tfl.LayersModel): string[] {
  checkModel('freezeBatchNorm', model);
  return batchNorms(model).map(({layer}) => {
    layer.trainable = false;
    if (isBuiltInBatchNorm(layer) && !held.has(layer)) {
      held.set(
        layer,
        holdInInferenceMode(layer, () => !layer.trainable),
      );
    }
    return layer.name;
  });
}

/**
 * Lets all batch norms of a model train again: the way back from {@link freezeBatchNorm}. Each
 * gets `trainable = true`, also one that had been frozen by other means, such as a model around
 * it that was frozen: it trains in all models around that are not frozen themselves.
 *
 * A model that is to be trained with `fit` must be compiled again afterwards.
 *
 * @returns The names of the model's batch norms.
 * @throws ValueError if it is not a model.
 */
export function unfreezeBatchNorm(model: tfl.LayersModel): string[] {
  checkModel('unfreezeBatchNorm', model);
  return batchNorms(model).map(({layer}) => {
    layer.trainable = true;
    held.get(layer)?.();
    held.delete(layer);
    return layer.name;
  });
}
