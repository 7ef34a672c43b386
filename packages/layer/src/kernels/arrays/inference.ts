import {channelView} from '../channel_view.js';
import type {Kernels} from '../kernel.js';
import type {Host} from './host.js';
import {bounds} from './loops.js';
import {normalization} from './normalization.js';

export const inference =
  (host: Host): Kernels['inference'] =>
  (inputs, {axis, epsilon, activation}, backend) => {
    const view = channelView(inputs.x.shape, axis);
    return host(backend, inputs, [inputs.x], view, (arrays, [y], loops) => {
      const affine = normalization(arrays, epsilon);
      loops.normalize(y, arrays.x, affine, arrays.shortcut, bounds[activation]);
    });
  };
