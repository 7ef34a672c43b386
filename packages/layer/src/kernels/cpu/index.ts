/** The kernels of the `cpu` backend: plain JavaScript over the tensors' arrays. */
import {INFERENCE, TRAINING, TRAINING_GRAD, type Kernels} from '../kernel.js';
import {inference} from './inference.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

export const cpuKernels: Kernels = {
  [TRAINING]: training,
  [TRAINING_GRAD]: trainingGrad,
  [INFERENCE]: inference,
};
