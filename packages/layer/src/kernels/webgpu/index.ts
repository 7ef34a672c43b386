/** The kernels of the `webgpu` backend: compute shaders. */
import type {Kernels} from '../kernel.js';
import {inference} from './inference.js';
import {movingStatistics} from './moving_statistics.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

export const webgpuKernels: Kernels = {
  training,
  trainingGrad,
  inference,
  movingStatistics,
};
