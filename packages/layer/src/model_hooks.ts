/**
 * What a ResBatchNorm must know and tfjs-layers does not tell it, or tells it wrongly: that
 * something around it was frozen or thawed, and that its weights are about to be loaded from a
 * file. There is no hook for either, so this wraps members of three base classes. What has no
 * ResBatchNorm in it does what it did before.
 */
import type {NamedTensorMap, Tensor} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  isBatchNorm,
  resBatchNorms,
  SEQUENTIAL,
  weightName,
  type Layer,
} from './batch_norms.js';
import {ValueError} from './errors.js';

type Model = tfl.LayersModel;
/** A model that a Sequential may have made for itself. */
type SequentialPart = Model & {[SEQUENTIAL]?: Model};

/** Says, also to a second copy of this module, that the classes are wrapped already. */
const HOOKED = Symbol.for('@resbatchnorm/layer/model_hooks');

/** Wraps the classes of this copy of tfjs-layers. Further calls do nothing. */
export function hookModels(): void {
  // Container, the base class of all models, is not exported.
  const container = Object.getPrototypeOf(tfl.LayersModel.prototype);
  if (container[HOOKED]) return;
  container[HOOKED] = true;
  hookTrainable(tfl.layers.Layer.prototype);
  hookTrainable(container);
  hookSequential(tfl.Sequential.prototype);
  hookTrainedWeights(container);
  hookLoadWeights(container);
}

/** Whether a Sequential is making its model, whose `trainable` it sets then. */
let isSequentialBuilding = false;

/**
 * `trainable = v` sets it on each ResBatchNorm below, as Keras does on each layer, so that the
 * last word wins. tfjs-layers changes the flags of the weights of direct layers only.
 */
function hookTrainable(base: Layer): void {
  const {get, set} = Object.getOwnPropertyDescriptor(base, 'trainable')!;
  Object.defineProperty(base, 'trainable', {
    configurable: true,
    get,
    set(this: Layer, trainable: boolean) {
      set!.call(this, trainable);
      if (isBatchNorm(this)) return;
      for (const norm of resBatchNorms(this)) {
        // That of a Sequential's own model is nobody's word, and has changed flags by now.
        norm.trainable = isSequentialBuilding ? norm.trainable : trainable;
      }
    },
  });
}

/** A Sequential makes a new model for itself whenever layers were added. */
function hookSequential(sequential: tfl.Sequential): void {
  const {build} = sequential;
  sequential.build = function (inputShape) {
    const wasBuilding = isSequentialBuilding;
    isSequentialBuilding = true;
    try {
      build.call(this, inputShape);
    } finally {
      isSequentialBuilding = wasBuilding;
    }
    const {model} = this as unknown as {model: SequentialPart};
    model[SEQUENTIAL] = this;
  };
}

/**
 * The weights of a model with a ResBatchNorm, each once, are sorted as in Keras 3: those of a
 * norm that trains are among the trainable ones of every model around it that is not frozen
 * itself, whatever is frozen in between. tfjs-layers leaves them out there; lists the weights of
 * a shared layer once for each model that it is in; and in the model that a Sequential makes for
 * itself takes apart a model that came first, whose layers train then even if it is frozen.
 */
function hookTrainedWeights(container: Model): void {
  const getter = (name: 'trainableWeights' | 'nonTrainableWeights') =>
    Object.getOwnPropertyDescriptor(container, name)!.get!;
  const getTrainable = getter('trainableWeights');
  const getNonTrainable = getter('nonTrainableWeights');
  const define = (name: string, get: (this: SequentialPart) => tfl.LayerVariable[]) =>
    Object.defineProperty(container, name, {configurable: true, get});
  define('trainableWeights', function () {
    const model = this[SEQUENTIAL] ?? this;
    const norms = resBatchNorms(model);
    if (norms.length === 0) return getTrainable.call(this);
    if (!model.trainable) return [];
    const thawed = norms.flatMap(norm => norm.trainableWeights);
    const listed = new Set<tfl.LayerVariable>(getNonTrainable.call(model));
    const trainable: tfl.LayerVariable[] = getTrainable.call(model);
    return [...new Set([...trainable, ...thawed.filter(weight => listed.has(weight))])];
  });
  define('nonTrainableWeights', function () {
    const model = this[SEQUENTIAL] ?? this;
    if (resBatchNorms(model).length === 0) return getNonTrainable.call(this);
    const trainable = new Set(model.trainableWeights);
    const weights: tfl.LayerVariable[] = getNonTrainable.call(model);
    return [...new Set(weights)].filter(weight => !trainable.has(weight));
  });
}

function hookLoadWeights(container: Model): void {
  const {loadWeights} = container;
  container.loadWeights = function (weights: NamedTensorMap, strict = true) {
    checkLoadedStatistics(this, weights, strict);
    return loadWeights.call(this, weights, strict);
  };
}

/**
 * Checks the moving statistics among weights that are about to be loaded into a model.
 *
 * @param strict As in `loadWeights`. If false, a layer may be missing as a whole, but not its
 *     moving statistics alone: that is how a model comes to train well and to test badly.
 * @throws ValueError that lists every moving statistic that is missing, has the wrong shape,
 *     is not finite or is a negative variance. Nothing has been changed then.
 */
function checkLoadedStatistics(
  model: Model,
  weights: NamedTensorMap,
  strict: boolean,
): void {
  // Keras 3 numbers weights in place of naming them; tfjs-layers renames those later.
  if (Object.keys(weights).some(name => /\/\d+$/.test(name))) return;
  const tensors = byVariableName(weights);
  const loaded = new Set(model.weights);
  const faults = resBatchNorms(model).flatMap(layer => {
    const isThere = layer.weights.some(({originalName}) => tensors.has(originalName));
    return statisticsOf(layer).flatMap(variable => {
      if (!loaded.has(variable)) {
        return strict
          ? [
              `${variable.originalName} is not among the weights of the layer that holds ` +
                `'${layer.name}', and so is neither saved nor loaded`,
            ]
          : [];
      }
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

function statisticsOf(layer: Layer): tfl.LayerVariable[] {
  return layer.weights.filter(weight =>
    /^(moving_|renorm_|num_batches_tracked)/.test(weightName(weight)),
  );
}

function faultOf(variable: tfl.LayerVariable, tensor: Tensor): string | null {
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
