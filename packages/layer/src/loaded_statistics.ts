import type {NamedTensorMap, Tensor} from '@tensorflow/tfjs-core';
import type {LayerVariable} from '@tensorflow/tfjs-layers';

import {ValueError} from './errors.js';
import type {ResBatchNorm} from './res_batch_norm.js';

/**
 * Checks the moving statistics among weights that are about to be loaded into a model.
 *
 * @param strict As in `loadWeights`. If false, a layer may be missing as a whole, but not its
 *     moving statistics alone: that is how a model comes to train well and to test badly.
 * @throws ValueError that lists every moving statistic that is missing, has the wrong shape,
 *     is not finite or is a negative variance. Nothing has been changed then.
 */
export function checkLoadedStatistics(
  layers: readonly ResBatchNorm[],
  weights: NamedTensorMap,
  strict: boolean,
): void {
  // Keras 3 numbers weights in place of naming them; tfjs-layers renames those later.
  if (Object.keys(weights).some(name => /\/\d+$/.test(name))) return;
  const tensors = byVariableName(weights);
  const faults = layers.flatMap(layer => {
    const isThere = layer.weights.some(({originalName}) => tensors.has(originalName));
    return statisticsOf(layer).flatMap(variable => {
      const tensor = tensors.get(variable.originalName);
      if (tensor === undefined) {
        return strict || isThere ? [`${variable.originalName} is missing`] : [];
      }
      const fault = faultOf(variable, tensor);
      return fault === null ? [] : [`${variable.originalName} ${fault}`];
    });
  });
  if (faults.length > 0) {
    throw new ValueError(
      "The moving statistics can't be loaded, and without them the model would predict " +
        `wrongly:\n  ${faults.join('\n  ')}\n` +
        'A model saved with trainableOnly, or by code that saves trainable variables alone, ' +
        'has none; one whose training met a NaN may hold NaN. Nothing was loaded.',
    );
  }
}

/** As tfjs-layers does, takes a weight named layer/cell/weight for layer/weight, too. */
function byVariableName(weights: NamedTensorMap): Map<string, Tensor> {
  const tensors = new Map(Object.entries(weights));
  for (const [name, tensor] of Object.entries(weights)) {
    const tokens = name.split('/');
    const shortName = [...tokens.slice(0, -2), tokens.at(-1)].join('/');
    if (!tensors.has(shortName)) tensors.set(shortName, tensor);
  }
  return tensors;
}

function statisticsOf(layer: ResBatchNorm): LayerVariable[] {
  return layer.weights.filter(({originalName}) =>
    /\/(moving_|renorm_|num_batches_tracked)[^/]*$/.test(originalName),
  );
}

function faultOf(variable: LayerVariable, tensor: Tensor): string | null {
  if (String(tensor.shape) !== String(variable.shape)) {
    return `has shape [${tensor.shape}], expected [${variable.shape}]`;
  }
  const values = valuesOf(tensor);
  if (values === null) return null;
  const bad = values.findIndex(value => !Number.isFinite(value));
  if (bad >= 0) return `holds ${values[bad]}, at index ${bad}`;
  const isNegativeAllowed = /mean(_biased)?$/.test(variable.originalName);
  const negative = isNegativeAllowed ? -1 : values.findIndex(value => value < 0);
  return negative >= 0 ? `holds ${values[negative]}, at index ${negative}` : null;
}

/**
 * The values, if they can be had at once: those of a file can, and those that are on the device
 * only can't on every backend.
 */
function valuesOf(tensor: Tensor): number[] | null {
  try {
    return Array.from(tensor.dataSync());
  } catch {
    return null;
  }
}
