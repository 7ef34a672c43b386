import * as tf from '@tensorflow/tfjs-core';

/** The same values, through which no gradient flows: what is called stop_gradient elsewhere. */
export function constant(x: tf.Tensor): tf.Tensor {
  const stop = tf.customGrad(x => ({
    value: tf.clone(x as tf.Tensor),
    gradFunc: () => tf.zerosLike(x as tf.Tensor),
  }));
  return stop(x);
}
