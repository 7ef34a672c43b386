/** The kernels of the `cpu` backend: plain JavaScript over the tensors' arrays. */
import type {Kernels} from '../kernel.js';
import {inference} from './inference.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

export const cpuKernels: Partial<Kernels> = {training, trainingGrad, inference};
