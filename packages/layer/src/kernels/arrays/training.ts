import {channelView} from '../channel_view.js';
import type {Kernels} from '../kernel.js';
import type {Host} from './host.js';
import {bounds} from './loops.js';
import {normalization} from './normalization.js';

export const training =
  (host: Host): Kernels['training'] =>
  (inputs, {axis, epsilon, activation}, backend) => {
    const {x, gamma} = inputs;
    const view = channelView(x.shape, axis);
    return host(backend, inputs, [x, gamma, gamma], view, (arrays, outputs, loops) => {
      const {x, gamma, beta, shortcut} = arrays;
      const [y, mean, variance] = outputs;
      const moments = loops.moments(x);
      mean.set(moments.mean);
      variance.set(moments.variance);
      const affine = normalization({gamma, beta, ...moments}, epsilon);
      loops.normalize(y, x, affine, shortcut, bounds[activation]);
    });
  };
