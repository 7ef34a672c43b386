/** Whether a model that is loaded can be given the weights that were saved: by their names. */
import type {Layer} from '@resbatchnorm/layer/introspection';
import type * as tfl from '@tensorflow/tfjs-layers';

import {CheckpointError} from './checkpoint_folder.js';

/**
 * @throws CheckpointError if two weights have the same name, or several layers of a model the
 *     same weight: such a model can't be loaded.
 */
export function checkWeightNames(model: tfl.LayersModel): void {
  checkHolders(model, model.name, new Set());
  const names = [...new Set(model.weights)].map(({originalName}) => originalName);
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  if (twice.length === 0) return;
  throw new CheckpointError(
    `The weights of the model '${model.name}' must have names of their own for a ` +
      'checkpoint to be loaded: give the layers different names. Received: several weights ' +
      `of the name ${[...new Set(twice)].join(', ')}`,
  );
}

/**
 * A saved topology tells of a layer that is applied twice in a model that it is one layer; of one
 * that two models, wrappers or layers of the user's own have in common it makes two.
 */
function checkHolders(model: Layer, modelName: string, seen: Set<Layer>): void {
  if (seen.has(model)) return;
  seen.add(model);
  const holders = new Map<tfl.LayerVariable, Layer>();
  for (const layer of layersOf(model)) {
    const shared = new Map<Layer, string[]>();
    for (const weight of layer.weights) {
      const holder = holders.get(weight);
      if (holder === undefined) holders.set(weight, layer);
      else shared.set(holder, [...(shared.get(holder) ?? []), weight.originalName]);
    }
    // What is twice inside of a model is found there.
    if (layersOf(layer).length > 0) shared.delete(layer);
    for (const [holder, names] of shared)
      throw sharedError(modelName, holder, layer, names);
    checkHolders(layer, modelName, seen);
  }
}

/** The layers of a model, each once; none of any other layer. */
function layersOf(layer: Layer): Layer[] {
  const {layers} = layer as Layer & {layers?: unknown};
  return Array.isArray(layers) ? [...new Set(layers as Layer[])] : [];
}

function sharedError(
  model: string,
  one: Layer,
  other: Layer,
  names: readonly string[],
): CheckpointError {
  const list = [...new Set(names)].join(', ');
  if (one === other) {
    return new CheckpointError(
      `The layer '${one.name}' of the model '${model}' must list each of its weights once ` +
        `for a checkpoint to be loaded. Received: ${list} several times`,
    );
  }
  return new CheckpointError(
    `Each weight of the model '${model}' must belong to one of its layers for a checkpoint ` +
      'to be loaded, as a layer that two of them have in common would be loaded as two. ' +
      'Apply that layer in one model alone: there it may be applied more than once. ' +
      `Received: ${list} of the layers '${one.name}' and '${other.name}'`,
  );
}
