import type {NormWay} from './norm_strategy.js';
import {opView} from './op_view.js';
import {
  inferenceNorm,
  reshape,
  scale,
  takeShape,
  trainingNorm,
  trainingNormGrad,
} from './ops.js';

/** The ops that TensorFlow has for batch normalization, over x as it is. */
export const direct: NormWay = {
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
