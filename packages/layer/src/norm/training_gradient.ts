/** Registers the gradient of the training kernels. */
import * as tf from '@tensorflow/tfjs-core';

import {asChannelView} from '../kernels/composed/per_channel.js';
import {moments} from '../kernels/composed/kernels.js';
import {trainingGrad} from '../kernels/composed/kernels.js';
import {
  ACTIVATED_TRAINING,
  TRAINING,
  TRAINING_GRAD,
  type NormAttrs,
} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';

/** Only x is kept, and of the activated kernel y, which the layer after this one keeps too. */
function registerGradient(kernelName: string, keepsY: boolean): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x', 'gamma'],
    // y, mean, variance and the reserve.
    outputsToSave: [keepsY, true, true, true, true, true],
    gradFunc: (dys, [x, gamma, ...outputs], kernelAttrs) => {
      const [dy] = dys as tf.Tensor[];
      const attrs = kernelAttrs as NormAttrs;
      const kept: tf.NamedTensorMap = keepsY ? {y: outputs.shift()!} : {};
      const [mean, variance, ...reserve] = outputs;
      const inputs = {dy, x, gamma, mean, variance, ...kept};
      const isLinear = attrs.activation === 'linear';
      const gradAttrs = {...attrs, hasShortcut: attrs.hasShortcut && !isLinear};
      // All at once and before the first is asked for: the engine calls each of the functions
      // below in a tidy of its own, which would dispose what the others need.
      const [dx, dgamma, dbeta, dz = dy] = isDifferentiated()
        ? trainingGrad({...inputs, ...moments(asChannelView(x, attrs.axis))}, gradAttrs)
        : runKernel(TRAINING_GRAD, {...inputs, ...named(reserve)}, gradAttrs);
      return {
        x: () => dx,
        gamma: () => dgamma,
        beta: () => dbeta,
        shortcut: () => tf.clone(dz),
      };
    },
  });
}

/** The reserve as inputs: reserve0, reserve1, … */
function named(reserve: tf.Tensor[]): tf.NamedTensorMap {
  return Object.fromEntries(reserve.map((tensor, i) => [`reserve${i}`, tensor]));
}

/**
 * Whether a gradient of this gradient will be asked for, as by a gradient penalty: then a tape
 * runs while it is computed. The composed gradient, with mean and variance as functions of x,
 * is made of ops that can be differentiated any number of times.
 */
function isDifferentiated(): boolean {
  return tf.engine().state.gradientDepth > 0;
}

registerGradient(TRAINING, false);
registerGradient(ACTIVATED_TRAINING, true);
