import * as tf from '@tensorflow/tfjs-core';

/**
 * Bessel's correction: the variance of n values times n/(n − 1), the estimate of the variance
 * of what they were drawn from. One value has none: its variance stays 0.
 */
export function unbiased(
  variance: tf.Tensor1D,
  count: number | tf.Tensor1D,
): tf.Tensor1D {
  if (typeof count === 'number') {
    return tf.mul(variance, count > 1 ? count / (count - 1) : 1);
  }
  const factor = tf.div(count, tf.maximum(tf.sub(count, 1), 1e-7));
  return tf.where(
    tf.greater(count, 1),
    tf.mul(variance, factor),
    variance,
  ) as tf.Tensor1D;
}
