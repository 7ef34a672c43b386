import type {KernelFunc} from '@tensorflow/tfjs-core';

import type {ChannelView} from '../../channel_view.js';
import type {NormAttrs, TrainingGradInputs} from '../kernel.js';
import {arrayOf, tensorOf} from './backend.js';
import {combine, gradSums} from './loops.js';

/** The formulas are those of composed/training_grad.ts. */
export const trainingGrad: KernelFunc = ({inputs, attrs, backend}) => {
  const {dy, x, gamma, mean, variance} = inputs as TrainingGradInputs;
  const {epsilon} = attrs as NormAttrs;
  const view = x.shape as ChannelView;
  const [outer, channels, inner] = view;
  const n = outer * inner;
  const dys = arrayOf(backend, dy);
  const xs = arrayOf(backend, x);
  const means = arrayOf(backend, mean);
  const gammas = arrayOf(backend, gamma);
  const variances = arrayOf(backend, variance);

  const {sumDy, sumX, sumDyX} = gradSums(dys, xs, means, view);
  const dgamma = new Float64Array(channels);
  const [a, b, offset] = [0, 0, 0].map(() => new Float64Array(channels));
  for (let c = 0; c < channels; ++c) {
    const r = 1 / Math.sqrt(variances[c] + epsilon);
    // The mean came as float32; what it is off by is the mean of x less it.
    const residual = sumX[c] / n;
    dgamma[c] = r * (sumDyX[c] - residual * sumDy[c]);
    a[c] = gammas[c] * r;
    b[c] = (-a[c] * r * dgamma[c]) / n;
    offset[c] = (-a[c] * sumDy[c]) / n - b[c] * (means[c] + residual);
  }
  return [
    tensorOf(backend, combine(dys, xs, view, a, b, offset), x.shape),
    tensorOf(backend, dgamma, gamma.shape),
    tensorOf(backend, sumDy, gamma.shape),
  ];
};
