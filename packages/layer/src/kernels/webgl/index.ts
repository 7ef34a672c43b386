/** The kernels of the `webgl` backend: fragment shaders over packed textures. */
import type {Kernels} from '../kernel.js';
import {inference} from './inference.js';
import {movingStatistics} from './moving_statistics.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

export const webglKernels: Kernels = {
  training,
  trainingGrad,
  inference,
  movingStatistics,
};
