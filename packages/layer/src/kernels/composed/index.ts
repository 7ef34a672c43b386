/**
 * The kernels out of TensorFlow.js's own ops, for every backend that has none of its own.
 * Ops called inside a kernel are not recorded on the gradient tape.
 */
import * as tf from '@tensorflow/tfjs-core';

import {
  INFERENCE,
  MOVING_STATISTICS,
  TRAINING,
  TRAINING_GRAD,
  type KernelName,
} from '../kernel.js';
import {inference} from './inference.js';
import {movingStatistics} from './moving_statistics.js';
import {training} from './training.js';
import {trainingGrad} from './training_grad.js';

/** A kernel's function, over tensors and in a tidy of its own. */
function composed<Inputs, Attrs>(
  compute: (inputs: Inputs, attrs: Attrs) => tf.Tensor[],
): tf.KernelFunc {
  return ({inputs, attrs}) =>
    // The engine hands the tensors over as they came in, though its type promises less.
    tf.tidy(() => compute(inputs as unknown as Inputs, attrs as unknown as Attrs));
}

export const composedKernels: Record<KernelName, tf.KernelFunc> = {
  [TRAINING]: composed(training),
  [TRAINING_GRAD]: composed(trainingGrad),
  [INFERENCE]: composed(inference),
  [MOVING_STATISTICS]: composed(movingStatistics),
};
