import {channelView} from '../../channel_view.js';
import type {Kernels} from '../kernel.js';
import {arrayOf, tensorOf} from './backend.js';
import {bounds, moments, normalization, scaleAndOffset} from './loops.js';

export const training: Kernels['training'] = (inputs, attrs, backend) => {
  const {x, gamma, beta, shortcut} = inputs;
  const {axis, epsilon, activation} = attrs;
  const view = channelView(x.shape, axis);
  const xs = arrayOf(backend, x);
  const {mean, variance} = moments(xs, view);
  const affine = {gamma: arrayOf(backend, gamma), beta: arrayOf(backend, beta)};
  const y = scaleAndOffset(
    xs,
    view,
    normalization({...affine, mean, variance}, epsilon),
    shortcut ? arrayOf(backend, shortcut) : null,
    bounds[activation],
  );
  return [
    tensorOf(backend, y, x.shape),
    tensorOf(backend, mean, gamma.shape),
    tensorOf(backend, variance, gamma.shape),
  ];
};
