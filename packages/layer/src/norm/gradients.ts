/** Registers the gradients of the kernels: importing this module is what makes them known. */
import * as tf from '@tensorflow/tfjs-core';

import {
  activationGrad,
  moments,
  trainingGrad,
  type TrainingGradTensors,
} from '../kernels/composed/kernels.js';
import {
  asChannelView,
  broadcastShape,
  channelSum,
} from '../kernels/composed/per_channel.js';
import {
  ACTIVATED_INFERENCE,
  ACTIVATED_TRAINING,
  INFERENCE,
  TRAINING,
  TRAINING_GRAD,
  type NormAttrs,
} from '../kernels/kernel.js';
import {runKernel} from '../kernels/run_kernel.js';

/** Only x is kept, and of the activated kernel y, which the layer after this one keeps too. */
function registerTrainingGradient(kernelName: string, keepsY: boolean): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x', 'gamma'],
    // y, mean, variance and the reserve.
    outputsToSave: [keepsY, true, true, true, true, true],
    gradFunc: (dys, [x, gamma, ...outputs], kernelAttrs) => {
      const [dy] = dys as tf.Tensor[];
      const attrs = kernelAttrs as NormAttrs;
      const y = keepsY ? outputs.shift() : undefined;
      const [mean, variance, ...reserve] = outputs;
      const inputs: TrainingGradTensors = {dy, x, gamma, mean, variance};
      if (y !== undefined) inputs.y = y;
      const isLinear = attrs.activation === 'linear';
      const gradAttrs =
        isLinear && attrs.hasShortcut ? {...attrs, hasShortcut: false} : attrs;
      // All at once and before the first is asked for: the engine calls each of the functions
      // below in a tidy of its own, which would dispose what the others need.
      const [dx, dgamma, dbeta, dz = dy] = isDifferentiated()
        ? trainingGrad({...inputs, ...moments(asChannelView(x, attrs.axis))}, gradAttrs)
        : runKernel(TRAINING_GRAD, withReserve(inputs, reserve), gradAttrs);
      return {
        x: () => dx,
        gamma: () => dgamma,
        beta: () => dbeta,
        shortcut: () => tf.clone(dz),
      };
    },
  });
}

/** Adds the reserve to the inputs, as reserve0, reserve1, … */
function withReserve(inputs: tf.NamedTensorMap, reserve: tf.Tensor[]): tf.NamedTensorMap {
  reserve.forEach((tensor, i) => (inputs[`reserve${i}`] = tensor));
  return inputs;
}

/**
 * Whether a gradient of this gradient will be asked for, as by a gradient penalty: then a tape
 * runs while it is computed. The composed gradient, with mean and variance as functions of x,
 * is made of ops that can be differentiated any number of times.
 */
function isDifferentiated(): boolean {
  return tf.engine().state.gradientDepth > 0;
}

/**
 * With r = 1/√(variance + epsilon) and dz = dy·activation′, over the values of a channel
 *
 *     dshortcut = dz
 *     dx        = dz·gamma·r
 *     dbeta     = Σ dz
 *     dgamma    = r·Σ dz·(x − mean)
 *     dmean     = −gamma·r·Σ dz
 *     dvariance = −gamma·r³/2·Σ dz·(x − mean)
 *
 * Each is computed only if asked for: in a frozen layer that is dx, and dshortcut.
 */
function registerInferenceGradient(kernelName: string, keepsY: boolean): void {
  tf.registerGradient({
    kernelName,
    inputsToSave: ['x', 'gamma', 'mean', 'variance'],
    outputsToSave: [keepsY],
    gradFunc: (dy, [x, gamma, mean, variance, y], attrs) => {
      const {axis, epsilon, activation} = attrs as NormAttrs;
      const dyView = asChannelView(dy as tf.Tensor, axis);
      const dz = keepsY
        ? activationGrad(dyView, asChannelView(y, axis), activation)
        : dyView;
      const shape = broadcastShape(dz);
      const r = () => tf.rsqrt(tf.add(variance, epsilon));
      const sumDz = () => tf.reshape(channelSum(dz), gamma.shape);
      const sumDzX = () => {
        const centered = tf.sub(asChannelView(x, axis), tf.reshape(mean, shape));
        return tf.reshape(channelSum(tf.mul(dz, centered)), gamma.shape);
      };
      return {
        x: () => {
          const scale = tf.reshape(tf.mul(gamma, r()), shape);
          return tf.reshape(tf.mul(dz, scale), x.shape);
        },
        gamma: () => tf.mul(r(), sumDzX()),
        beta: sumDz,
        mean: () => tf.neg(tf.mul(tf.mul(gamma, r()), sumDz())),
        variance: () => tf.mul(tf.mul(tf.mul(gamma, tf.pow(r(), 3)), sumDzX()), -0.5),
        shortcut: () => tf.reshape(dz, x.shape),
      };
    },
  });
}

registerTrainingGradient(TRAINING, false);
registerTrainingGradient(ACTIVATED_TRAINING, true);
registerInferenceGradient(INFERENCE, false);
registerInferenceGradient(ACTIVATED_INFERENCE, true);
