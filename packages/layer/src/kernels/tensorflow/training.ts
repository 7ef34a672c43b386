import {tidy} from '@tensorflow/tfjs-core';

import type {Kernels} from '../kernel.js';
import type {TensorFlowBackend} from './backend.js';
import {isFarFromZero, shifted} from './far_from_zero.js';
import {activate, add} from './ops.js';
import {wayOf} from './strategy.js';

export const training: Kernels['training'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const {x, gamma, beta, shortcut} = inputs;
  const {axis, epsilon, activation} = attrs;
  const way = wayOf(backend, x.shape, axis);
  if (way === null) return null;
  return tidy(() => {
    let {y, mean, variance, reserve} = way.training(backend, x, {gamma, beta}, attrs);
    if (!backend.isUsingGpuDevice && isFarFromZero(backend, {mean, variance}, epsilon)) {
      y.dispose();
      const rest = shifted(backend, x, mean, axis);
      const again = way.training(backend, rest, {gamma, beta}, attrs);
      rest.dispose();
      ({y, variance} = again);
      reserve = [mean, again.mean];
      mean = add(backend, mean, again.mean);
    }
    return [activate(backend, y, shortcut, activation), mean, variance, ...reserve];
  });
};
