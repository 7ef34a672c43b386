/**
 * Two things that a layer must know and tfjs-layers does not tell it: that a model around it
 * was frozen, and that its weights are about to be loaded from a file. Models have no hook for
 * either, so this wraps two members of their base class. For a model without a ResBatchNorm
 * they do what they did before.
 */
import type {NamedTensorMap} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorms} from './batch_norms.js';
import {checkLoadedStatistics} from './loaded_statistics.js';

type Model = tfl.LayersModel;

/** Says, also to a second copy of this module, that models are wrapped already. */
const HOOKED = Symbol.for('@resbatchnorm/layer/model_hooks');

/** Wraps the models of this copy of tfjs-layers. Further calls do nothing. */
export function hookModels(): void {
  // Container, the base class of all models, is not exported.
  const container = Object.getPrototypeOf(tfl.LayersModel.prototype);
  if (container[HOOKED]) return;
  container[HOOKED] = true;
  hookTrainable(container);
  hookLoadWeights(container);
}

function hookTrainable(container: Model): void {
  const {get, set} = Object.getOwnPropertyDescriptor(container, 'trainable')!;
  Object.defineProperty(container, 'trainable', {
    configurable: true,
    get,
    set(this: Model, trainable: boolean) {
      const changes = this.trainable !== trainable;
      set!.call(this, trainable);
      // A Sequential sets the trainable of a model of its own, and to what it is already, at
      // every build; that must not thaw what a model around it froze.
      if (!changes) return;
      for (const layer of resBatchNorms(this)) layer.setFrozenBy(this, !trainable);
    },
  });
}

function hookLoadWeights(container: Model): void {
  const {loadWeights} = container;
  container.loadWeights = function (weights: NamedTensorMap, strict = true) {
    checkLoadedStatistics(resBatchNorms(this), weights, strict);
    return loadWeights.call(this, weights, strict);
  };
}
