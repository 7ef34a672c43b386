import {tidy, type Tensor} from '@tensorflow/tfjs-core';

import type {Kernels} from '../kernel.js';
import type {TensorFlowBackend} from './backend.js';
import {isFarFromZero, shifted} from './far_from_zero.js';
import {activationGrad} from './ops.js';
import {wayOf} from './strategy.js';

export const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const {dy, x, gamma, mean, variance, y, reserve0, reserve1, reserve2} = inputs;
  const {axis, epsilon, activation, hasShortcut} = attrs;
  const way = wayOf(backend, x.shape, axis);
  if (way === null) return null;
  // Without a reserve, the composed kernel may have run before.
  const isComposed =
    reserve0 === undefined &&
    (backend.isUsingGpuDevice || isFarFromZero(backend, {mean, variance}, epsilon));
  if (isComposed) return null;

  return tidy(() => {
    const dz = y === undefined ? dy : activationGrad(backend, dy, y, activation);
    const norm = {dy: dz, x, gamma, mean, variance};
    let reserve: (typeof x)[] = [];
    if (backend.isUsingGpuDevice) {
      reserve = [reserve0!, reserve1!, reserve2!];
    } else if (reserve0 !== undefined) {
      norm.x = shifted(backend, x, reserve0, axis);
      norm.mean = reserve1!;
    }
    const gradients = way.gradient(backend, norm, reserve, attrs);
    // The engine hands over tensors, though the type of the inputs promises less.
    return hasShortcut ? [...gradients, dz as Tensor] : gradients;
  });
};
