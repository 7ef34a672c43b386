/** The kernels of the `tensorflow` backend of tfjs-node and tfjs-node-gpu. */
import type {Kernels} from '../kernel.js';
import {inference} from './inference.js';
import {movingStatistics} from './moving_statistics.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

export const tensorflowKernels: Kernels = {
  training,
  trainingGrad,
  inference,
  movingStatistics,
};
