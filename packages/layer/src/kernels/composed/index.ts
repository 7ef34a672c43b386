/**
 * The kernels out of TensorFlow.js's own ops, for every backend that has none of its own.
 * Ops called inside a kernel are not recorded on the gradient tape.
 */
import * as tf from '@tensorflow/tfjs-core';

import type {Kernel, Kernels} from '../kernel.js';
import {inference} from './inference.js';
import {movingStatistics} from './moving_statistics.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

/** A kernel's function, over tensors and in a tidy of its own. */
function composed<Tensors, Inputs, Attrs>(
  compute: (inputs: Tensors, attrs: Attrs) => tf.Tensor[],
): Kernel<Inputs, Attrs> {
  // The engine hands the tensors over as they came in, though its type promises less.
  return (inputs, attrs) => tf.tidy(() => compute(inputs as unknown as Tensors, attrs));
}

export const composedKernels: Kernels = {
  training: composed(training),
  trainingGrad: composed(trainingGrad),
  inference: composed(inference),
  movingStatistics: composed(movingStatistics),
};
