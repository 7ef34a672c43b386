/**
 * Batch normalization of x less the first value of each channel, which is what a GPU gets. cuDNN
 * rounds the mean to float32, and the rounding error is in all that it returns: at a mean of
 * 10⁴ standard deviations y was off by 2e-4. The first value is rarely more than a few
 * standard deviations from the mean. It is subtracted from every batch, as to find out which
 * ones need it would be to wait for the GPU. That takes three small ops forward and two backward.
 */
import type {Tensor, TensorInfo} from '@tensorflow/tfjs-core';

import {
  add,
  type BatchNormView,
  firstValues,
  lessPerChannel,
  opView,
  replace,
  reshape,
  scale,
  takeShape,
  type TensorFlowBackend,
  trainingNorm,
  trainingNormGrad,
} from './ops.js';
import {type Strategy, wholeRows} from './whole_rows.js';

/** The reserve is that of the op; the first values are taken anew, to keep no tensor more. */
export const shiftedRows: Strategy = {
  training(backend, x, affine, {axis, epsilon}) {
    const view = {...opView(x.shape, axis), epsilon};
    const {first, rest} = shifted(backend, x, view);
    const [yView, mean, unbiased, ...reserve] = trainingNorm(backend, rest, affine, view);
    rest.dispose();
    const count = yView.size / mean.size;
    return {
      y: takeShape(backend, yView, x.shape),
      mean: replace(mean, add(backend, first, mean)),
      variance: replace(unbiased, scale(backend, unbiased, (count - 1) / count)),
      reserve,
    };
  },

  gradient(backend, {dy, x, gamma}, reserve, {axis, epsilon}) {
    const view = {...opView(x.shape, axis), epsilon};
    const {rest} = shifted(backend, x, view);
    const dyView = reshape(backend, dy, view.shape);
    const [dx, dgamma, dbeta] = trainingNormGrad(
      backend,
      dyView,
      rest,
      gamma,
      reserve,
      view,
    );
    rest.dispose();
    return [takeShape(backend, dx, x.shape), dgamma, dbeta];
  },

  // Given a mean, the op subtracts it first of all.
  inference: wholeRows.inference,
};

/** The first value of each channel, and x in the view less these. */
function shifted(
  backend: TensorFlowBackend,
  x: TensorInfo,
  {shape, dataFormat}: BatchNormView,
): {first: Tensor; rest: Tensor} {
  const xView = reshape(backend, x, shape);
  const axis = dataFormat.startsWith('NC') ? 1 : shape.length - 1;
  const first = firstValues(backend, xView, axis);
  return {first, rest: lessPerChannel(backend, xView, first, axis)};
}
