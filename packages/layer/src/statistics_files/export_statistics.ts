import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {weightsByName} from '../models/copy_layer.js';
import {fileLayers, formatOf, type LayerNames} from './names.js';
import type {StatisticsFormat} from './formats.js';

export interface ExportStatisticsOptions {
  /** How the tensors are to be named. Default `'keras'`. */
  to?: StatisticsFormat;
  /** The names that layers have there, where they differ. */
  names?: LayerNames;
}

/**
 * The weights of all batch norms of a model, of either class, by the names that they have in
 * another framework:
 *
 * | `to`        | layer 'bn' is                                                             |
 * | ----------- | ------------------------------------------------------------------------- |
 * | `'keras'`   | bn/gamma, bn/beta, bn/moving_mean, bn/moving_variance                     |
 * | `'tf1'`     | bn/BatchNorm/gamma, …/beta, …/moving_mean, …/moving_variance              |
 * | `'pytorch'` | bn.weight, bn.bias, bn.running_mean, bn.running_var, and                  |
 * |             | bn.num_batches_tracked where the layer counts (`momentum: null`)          |
 *
 * `'keras'` has the further weights of a ResBatchNorm as well, under its own names, so that
 * nothing is lost on the way back; the others have no names for them.
 *
 * Epsilon and momentum are not in the tensors. Where the weights are used, epsilon must be the
 * same: the default is 1e-3 here, in Keras and in TensorFlow 1, but 1e-5 in PyTorch. Momentum
 * is the weight of the old value here and in TensorFlow (there also called decay), that of the
 * new one in PyTorch: 0.9 here is 0.1 there.
 *
 * @returns New tensors, which are the caller's to dispose; `encodeSafetensors` writes them.
 * @throws ValueError if an argument is wrong, if the model has no batch norm, or if two would
 *     have the same name.
 */
export function exportStatistics(
  model: tfl.LayersModel,
  {to = 'keras', names}: ExportStatisticsOptions = {},
): tf.NamedTensorMap {
  const {separator, scopes, weights} = formatOf('exportStatistics', 'to', to);
  const [scope] = scopes;
  const tensors: tf.NamedTensorMap = {};
  for (const {layer, name} of fileLayers('exportStatistics', model, names)) {
    for (const [weight, tensor] of Object.entries(weightsByName(layer))) {
      const there = weights[weight];
      if (there === undefined) continue;
      tensors[`${name}${scope}${separator}${there}`] = tf.clone(tensor);
    }
  }
  return tensors;
}
