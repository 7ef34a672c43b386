import {channelView} from '../../channel_view.js';
import type {Kernels} from '../kernel.js';
import {arrayOf, tensorOf} from './backend.js';
import {bounds, normalization, scaleAndOffset} from './loops.js';

export const inference: Kernels['inference'] = (inputs, attrs, backend) => {
  const {x, gamma, beta, mean, variance, shortcut} = inputs;
  const {axis, epsilon, activation} = attrs;
  const perChannel = {
    gamma: arrayOf(backend, gamma),
    beta: arrayOf(backend, beta),
    mean: arrayOf(backend, mean),
    variance: arrayOf(backend, variance),
  };
  const y = scaleAndOffset(
    arrayOf(backend, x),
    channelView(x.shape, axis),
    normalization(perChannel, epsilon),
    shortcut ? arrayOf(backend, shortcut) : null,
    bounds[activation],
  );
  return [tensorOf(backend, y, x.shape)];
};
