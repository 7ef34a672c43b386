/** Registers the gradient of the inference kernels. */
import * as tf from '@tensorflow/tfjs-core';

import {activationGrad} from '../kernels/composed/kernels.js';
import {
  asChannelView,
  broadcastShape,
  channelSum,
} from '../kernels/composed/per_channel.js';
import {ACTIVATED_INFERENCE, INFERENCE, type NormAttrs} from '../kernels/kernel.js';

// With r = 1/√(variance + epsilon) and dz = dy·activation′: dshortcut = dz, dx = dz·gamma·r,
// dbeta = Σdz, dgamma = r·Σdz·(x − mean), dmean = −gamma·r·Σdz,
// dvariance = −gamma·r³/2·Σdz·(x − mean). Each is computed only if asked for: in a frozen
// layer that is dx, and dshortcut.
function registerGradient(kernelName: string, keepsY: boolean): void {
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

registerGradient(INFERENCE, false);
registerGradient(ACTIVATED_INFERENCE, true);
