/** Registers the gradient of the inference kernel. */
import * as tf from '@tensorflow/tfjs-core';

import {
  broadcastShape,
  channelSum,
  squeezeInner,
} from '../kernels/composed/per_channel.js';
import {INFERENCE, type NormAttrs} from '../kernels/kernel.js';

// With r = 1/√(variance + epsilon): dx = dy·gamma·r, dbeta = Σdy, dgamma = r·Σdy·(x − mean),
// dmean = −gamma·r·Σdy, dvariance = −gamma·r³/2·Σdy·(x − mean). Each is computed only if asked
// for: in a frozen layer that is dx alone.
tf.registerGradient({
  kernelName: INFERENCE,
  inputsToSave: ['x', 'gamma', 'mean', 'variance'],
  gradFunc: (dy, [x, gamma, mean, variance], attrs) => {
    const {epsilon} = attrs as NormAttrs;
    const squeezedDy = squeezeInner(dy as tf.Tensor);
    const shape = broadcastShape(squeezedDy);
    const r = () => tf.rsqrt(tf.add(variance, epsilon));
    const sumDy = () => tf.reshape(channelSum(squeezedDy), gamma.shape);
    const sumDyX = () => {
      const centered = tf.sub(squeezeInner(x), tf.reshape(mean, shape));
      return tf.reshape(channelSum(tf.mul(squeezedDy, centered)), gamma.shape);
    };
    return {
      x: () => {
        const scale = tf.reshape(tf.mul(gamma, r()), shape);
        return tf.reshape(tf.mul(squeezedDy, scale), x.shape);
      },
      gamma: () => tf.mul(r(), sumDyX()),
      beta: sumDy,
      mean: () => tf.neg(tf.mul(tf.mul(gamma, r()), sumDy())),
      variance: () => tf.mul(tf.mul(tf.mul(gamma, tf.pow(r(), 3)), sumDyX()), -0.5),
    };
  },
});
