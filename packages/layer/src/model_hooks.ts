/**
 * What a ResBatchNorm must know and tfjs-layers does not tell it, or tells it wrongly: that
 * something around it was frozen or thawed, and that its weights are about to be loaded from a
 * file. There is no hook for either, so this wraps members of three base classes. What has no
 * ResBatchNorm in it does what it did before.
 */
import type {NamedTensorMap, Tensor} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {isBatchNorm, resBatchNorms, SEQUENTIAL, type Layer} from './batch_norms.js';
import {checkLoadedWeights, checkSetWeights} from './incoming_weights.js';

type Model = tfl.LayersModel;
type Weights = tfl.LayerVariable[];
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
  hookWeights(container, tfl.layers.Layer.prototype);
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
  const names = ['trainableWeights', 'nonTrainableWeights'] as const;
  const [getTrainable, getNonTrainable] = names.map(
    name => Object.getOwnPropertyDescriptor(container, name)!.get!,
  );
  /** Null of a model without a ResBatchNorm. */
  const sorted = (
    part: SequentialPart,
  ): Record<(typeof names)[number], Weights> | null => {
    const model = part[SEQUENTIAL] ?? part;
    const norms = resBatchNorms(model);
    if (norms.length === 0) return null;
    const others: Weights = getNonTrainable.call(model);
    const thawed = norms.flatMap(norm => norm.trainableWeights);
    const trainable = new Set<tfl.LayerVariable>(getTrainable.call(model));
    if (model.trainable) {
      for (const weight of thawed) if (others.includes(weight)) trainable.add(weight);
    }
    return {
      trainableWeights: [...trainable],
      nonTrainableWeights: [...new Set(others)].filter(weight => !trainable.has(weight)),
    };
  };
  names.forEach((name, i) => {
    const get = [getTrainable, getNonTrainable][i];
    Object.defineProperty(container, name, {
      configurable: true,
      get(this: SequentialPart) {
        return sorted(this)?.[name] ?? get.call(this);
      },
    });
  });
}

/** Checks weights before they are set from a file, and before they are set at all. */
function hookWeights(container: Model, layer: Layer): void {
  const {loadWeights} = container;
  container.loadWeights = function (weights: NamedTensorMap, strict = true) {
    checkLoadedWeights(this, weights, strict);
    return loadWeights.call(this, weights, strict);
  };
  // Models inherit this one, and so does a Sequential's own model, which sets its weights.
  const {setWeights} = layer;
  layer.setWeights = function (weights: Tensor[]) {
    checkSetWeights(this, weights);
    return setWeights.call(this, weights);
  };
}
