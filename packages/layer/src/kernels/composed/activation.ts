/** The activations that kernels apply, and their gradients, out of TensorFlow.js's own ops. */
import * as tf from '@tensorflow/tfjs-core';

import type {FusedActivation} from '../kernel.js';

const functions: Record<FusedActivation, (z: tf.Tensor) => tf.Tensor> = {
  linear: z => z,
  relu: tf.relu,
  relu6: tf.relu6,
};

/** activation(norm + shortcut). */
export function activate(
  norm: tf.Tensor,
  shortcut: tf.Tensor | undefined,
  activation: FusedActivation,
): tf.Tensor {
  return functions[activation](shortcut === undefined ? norm : tf.add(norm, shortcut));
}

/** dz = dy·activation′(z), from y = activation(z). */
export function activationGrad(
  dy: tf.Tensor,
  y: tf.Tensor,
  activation: FusedActivation,
): tf.Tensor {
  if (activation === 'linear') return dy;
  const isPositive = tf.greater(y, 0);
  const passes =
    activation === 'relu' ? isPositive : tf.logicalAnd(isPositive, tf.less(y, 6));
  // Not a product: 0·NaN is NaN.
  return tf.where(passes, dy, tf.zerosLike(dy));
}
