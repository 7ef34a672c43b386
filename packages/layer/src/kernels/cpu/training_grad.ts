import {channelView} from '../../channel_view.js';
import type {Kernels} from '../kernel.js';
import {arrayOf, tensorOf} from './backend.js';
import {activationGrad, bounds, combine, gradSums} from './loops.js';

/** The formulas are those of composed/training_grad.ts. */
export const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, backend) => {
  const {dy, x, gamma, mean, variance, y} = inputs;
  const {axis, epsilon, activation, hasShortcut} = attrs;
  const view = channelView(x.shape, axis);
  const [outer, channels, inner] = view;
  const n = outer * inner;
  const xs = arrayOf(backend, x);
  const means = arrayOf(backend, mean);
  const gammas = arrayOf(backend, gamma);
  const variances = arrayOf(backend, variance);
  const dys = arrayOf(backend, dy);
  const dzs = y ? activationGrad(dys, arrayOf(backend, y), bounds[activation]) : dys;

  const {sumDz, sumX, sumDzX} = gradSums(dzs, xs, means, view);
  const dgamma = new Float64Array(channels);
  const [a, b, offset] = [0, 0, 0].map(() => new Float64Array(channels));
  for (let c = 0; c < channels; ++c) {
    const r = 1 / Math.sqrt(variances[c] + epsilon);
    // The mean came as float32; what it is off by is the mean of x less it.
    const residual = sumX[c] / n;
    dgamma[c] = r * (sumDzX[c] - residual * sumDz[c]);
    a[c] = gammas[c] * r;
    b[c] = (-a[c] * r * dgamma[c]) / n;
    offset[c] = (-a[c] * sumDz[c]) / n - b[c] * (means[c] + residual);
  }
  return [
    tensorOf(backend, combine(dzs, xs, view, a, b, offset), x.shape),
    tensorOf(backend, dgamma, gamma.shape),
    tensorOf(backend, sumDz, gamma.shape),
    ...(hasShortcut ? [tensorOf(backend, dzs, x.shape)] : []),
  ];
};
