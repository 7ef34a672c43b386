/** The kernels for backends whose tensors JavaScript can reach, by the loops of their host. */
import type {Kernels} from '../kernel.js';
import type {Host} from './host.js';
import {inference} from './inference.js';
import {movingStatistics} from './moving_statistics.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

export function loopKernels(host: Host): Kernels {
  return {
    training: training(host),
    trainingGrad: trainingGrad(host),
    inference: inference(host),
    movingStatistics: movingStatistics(host),
  };
}
