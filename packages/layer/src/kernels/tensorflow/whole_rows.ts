/**
 * What a strategy of normalizing is, and the plain one: TensorFlow's ops over x as it is, each
 * row of channels whole.
 */
import type {Tensor, TensorInfo} from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {
  inferenceNorm,
  opView,
  reshape,
  scale,
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
    const [yView, batchMean, unbiased, ...reserve] = trainingNorm(
      backend,
      xView,
      affine,
      view,
    );
    const y = takeShape(backend, yView, x.shape);
    if (!backend.isUsingGpuDevice) {
      // What the CPU keeps for the gradient are the mean and the biased variance.
      const [mean, variance] = reserve;
      return {y, mean, variance, reserve: []};
    }
    const count = y.size / batchMean.size;
    const variance = scale(backend, unbiased, (count - 1) / count);
    return {y, mean: batchMean, variance, reserve};
  },

  gradient(backend, {dy, x, gamma, mean, variance}, reserve, {axis, epsilon}) {
    const view = {...opView(x.shape, axis), epsilon};
    const [dx, dgamma, dbeta] = trainingNormGrad(
      backend,
      reshape(backend, dy, view.shape),
      reshape(backend, x, view.shape),
      gamma,
      // The CPU does not read the third.
      reserve.length > 0 ? reserve : [mean, variance, mean],
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
