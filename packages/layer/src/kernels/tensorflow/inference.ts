import {tidy} from '@tensorflow/tfjs-core';

import type {Kernels} from '../kernel.js';
import type {TensorFlowBackend} from './backend.js';
import {activate} from './ops.js';
import {wayOf} from './strategy.js';

export const inference: Kernels['inference'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const {x, shortcut, ...perChannel} = inputs;
  const way = wayOf(backend, x.shape, attrs.axis);
  if (way === null) return null;
  return tidy(() => {
    const norm = way.inference(backend, x, perChannel, attrs);
    return [activate(backend, norm, shortcut, attrs.activation)];
  });
};
