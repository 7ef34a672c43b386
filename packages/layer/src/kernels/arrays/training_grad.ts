import {channelView} from '../channel_view.js';
import type {Kernels} from '../kernel.js';
import type {Host} from './host.js';
import {bounds} from './loops.js';

/** The formulas are those of composed/training_grad.ts. */
export const trainingGrad =
  (host: Host): Kernels['trainingGrad'] =>
  (inputs, {axis, epsilon, activation, hasShortcut}, backend) => {
    const view = channelView(inputs.x.shape, axis);
    const [outer, channels, inner] = view;
    const n = outer * inner;
    const like = [inputs.x, inputs.gamma, inputs.gamma];
    if (hasShortcut) like.push(inputs.x);
    return host(backend, inputs, like, view, (arrays, outputs, loops) => {
      const {dy, x, gamma, mean, variance, y} = arrays;
      const [dx, dgamma, dbeta, dshortcut] = outputs as [...Float32Array[]];
      const upstream = {dy, y, bounds: bounds[activation]};
      const {sumDz, sumX, sumDzX} = loops.gradSums(upstream, x, mean);
      const affine = {
        mean: new Float64Array(channels),
        dzScale: new Float64Array(channels),
        scale: new Float64Array(channels),
        offset: new Float64Array(channels),
      };
      for (let c = 0; c < channels; ++c) {
        const r = 1 / Math.sqrt(variance[c] + epsilon);
        // The mean came as float32; what it is off by is the mean of x less it.
        const residual = sumX[c] / n;
        const ofGamma = r * (sumDzX[c] - residual * sumDz[c]);
        const dzScale = gamma[c] * r;
        affine.mean[c] = mean[c] + residual;
        affine.dzScale[c] = dzScale;
        affine.scale[c] = (-dzScale * r * ofGamma) / n;
        affine.offset[c] = (-dzScale * sumDz[c]) / n;
        dgamma[c] = ofGamma;
        dbeta[c] = sumDz[c];
      }
      loops.inputGrad(dx, dshortcut, upstream, x, affine);
    });
  };
