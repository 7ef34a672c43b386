/** Registers the gradient of the training kernel. */
import * as tf from '@tensorflow/tfjs-core';

import {squeezeInner} from '../kernels/composed/per_channel.js';
import {moments} from '../kernels/composed/training.js';
import {trainingGrad} from '../kernels/composed/training_grad.js';
import {TRAINING, TRAINING_GRAD, type NormAttrs} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';

tf.registerGradient({
  kernelName: TRAINING,
  inputsToSave: ['x', 'gamma'],
  outputsToSave: [false, true, true],
  gradFunc: (dys, [x, gamma, mean, variance], attrs) => {
    const [dy] = dys as tf.Tensor[];
    // All three at once and before the first is asked for: the engine calls each of the
    // functions below in a tidy of its own, which would dispose what the others need.
    const [dx, dgamma, dbeta] = isDifferentiated()
      ? trainingGrad({dy, x, gamma, ...moments(squeezeInner(x))}, attrs as NormAttrs)
      : runKernel(TRAINING_GRAD, {dy, x, gamma, mean, variance}, attrs);
    return {x: () => dx, gamma: () => dgamma, beta: () => dbeta};
  },
});

/**
 * Whether a gradient of this gradient will be asked for, as by a gradient penalty: then a tape
 * runs while it is computed. The composed gradient, with mean and variance as functions of x,
 * is made of ops that can be differentiated any number of times.
 */
function isDifferentiated(): boolean {
  return tf.engine().state.gradientDepth > 0;
}
