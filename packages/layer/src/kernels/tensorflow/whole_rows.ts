/**
 * What a strategy of normalizing is, and the plain one: TensorFlow's ops over x as it is, each
 * row of channels whole, on the CPU.
 */
import type {Tensor, TensorInfo} from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {
  inferenceNorm,
  opView,
  reshape,
  takeShape,
  trainingNorm,
  trainingNormGrad,
  type Affine,
  type Statistics,
  type TensorFlowBackend,
} from './ops.js';

/**
 * One way to normalize, without shortcut and activation. What it returns, and what it makes
 * besides, belongs to the tidy around the call.
 */
export interface Strategy {
  /** The reserve is for `gradient`; only that of a GPU is not empty. */
  training(
    backend: TensorFlowBackend,
    x: TensorInfo,
    affine: Affine,
    attrs: NormAttrs,
  ): Record<'y' | 'mean' | 'variance', Tensor> & {reserve: Tensor[]};

  /** → dx, dgamma, dbeta. */
  gradient(
    backend: TensorFlowBackend,
    inputs: Record<'dy' | 'x' | 'gamma', TensorInfo> & Statistics,
    reserve: TensorInfo[],
    attrs: NormAttrs,
  ): Tensor[];

  /** → y. */
  inference(
    backend: TensorFlowBackend,
    x: TensorInfo,
    perChannel: Affine & Statistics,
    attrs: NormAttrs,
  ): Tensor;
}

export const wholeRows: Strategy = {
  training(backend, x, affine, {axis, epsilon}) {
    const view = {...opView(x.shape, axis), epsilon};
    const xView = reshape(backend, x, view.shape);
    // The reserve is what the CPU keeps for the gradient: the mean and the biased variance.
    const [yView, , , mean, variance] = trainingNorm(backend, xView, affine, view);
    return {y: takeShape(backend, yView, x.shape), mean, variance, reserve: []};
  },

  gradient(backend, {dy, x, gamma, mean, variance}, _reserve, {axis, epsilon}) {
    const view = {...opView(x.shape, axis), epsilon};
    const [dx, dgamma, dbeta] = trainingNormGrad(
      backend,
      reshape(backend, dy, view.shape),
      reshape(backend, x, view.shape),
      gamma,
      // The CPU does not read the third.
      [mean, variance, mean],
      view,
    );
    return [takeShape(backend, dx, x.shape), dgamma, dbeta];
  },

  inference(backend, x, perChannel, {axis, epsilon}) {
    const view = {...opView(x.shape, axis), epsilon};
    const xView = reshape(backend, x, view.shape);
    return takeShape(backend, inferenceNorm(backend, xView, perChannel, view), x.shape);
  },
};
