/** The trainer's optimizer: SGD with Nesterov momentum. */
import * as tf from '@tensorflow/tfjs-core';

export function nesterov(learningRate: number): tf.MomentumOptimizer {
  return tf.train.momentum(learningRate, 0.9, true);
}

/** Its own `dispose` leaves the tensor of the learning rate behind. */
export function disposeOptimizer(optimizer: tf.MomentumOptimizer): void {
  optimizer.dispose();
  tf.dispose((optimizer as unknown as {c: tf.Scalar}).c);
}
