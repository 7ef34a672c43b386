/**
 * The kernels of the `tensorflow` backend of tfjs-node and tfjs-node-gpu: by the custom ops of
 * `@resbatchnorm/native` where its addon is loaded, otherwise by TensorFlow's own.
 */
import type {KernelBackend} from '@tensorflow/tfjs-core';

import type {AllKernels, Kernels, SynchronizedKernels} from '../kernel.js';
import {customOps, hasCustomOps} from './custom_ops.js';
import {fusedBatchNorm} from './fused_batch_norm.js';
import type {TensorFlowBackend} from './ops.js';

function kernelsOf(backend: KernelBackend): Kernels & Partial<SynchronizedKernels> {
  const isCustom = hasCustomOps(backend as unknown as TensorFlowBackend);
  return isCustom ? customOps : fusedBatchNorm;
}

export const tensorflowKernels: AllKernels = {
  training: (inputs, attrs, backend) =>
    kernelsOf(backend).training(inputs, attrs, backend),
  trainingGrad: (inputs, attrs, backend) =>
    kernelsOf(backend).trainingGrad(inputs, attrs, backend),
  inference: (inputs, attrs, backend) =>
    kernelsOf(backend).inference(inputs, attrs, backend),
  moments: (inputs, attrs, backend) =>
    kernelsOf(backend).moments?.(inputs, attrs, backend) ?? null,
  gradSums: (inputs, attrs, backend) =>
    kernelsOf(backend).gradSums?.(inputs, attrs, backend) ?? null,
  inputGrad: (inputs, attrs, backend) =>
    kernelsOf(backend).inputGrad?.(inputs, attrs, backend) ?? null,
  movingStatistics: (inputs, attrs, backend) =>
    kernelsOf(backend).movingStatistics(inputs, attrs, backend),
};
