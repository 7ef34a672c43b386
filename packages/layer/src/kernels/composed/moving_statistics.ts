import * as tf from '@tensorflow/tfjs-core';

import type {MovingStatisticsAttrs} from '../kernel.js';

type MovingStatisticsTensors = Record<
  'movingMean' | 'movingVariance' | 'mean' | 'variance' | 'skipped',
  tf.Tensor
>;

/**
 * moving·momentum + batch·(1 − momentum) for both statistics. Whether the batch is finite is
 * decided on the device, for all channels at once: a batch counts as a whole or not at all.
 */
export function movingStatistics(
  {movingMean, movingVariance, mean, variance, skipped}: MovingStatisticsTensors,
  {momentum, skipNonFinite}: MovingStatisticsAttrs,
): tf.Tensor[] {
  const average = (moving: tf.Tensor, batch: tf.Tensor) =>
    tf.add(tf.mul(moving, momentum), tf.mul(batch, 1 - momentum));
  const nextMean = average(movingMean, mean);
  const nextVariance = average(movingVariance, variance);
  if (!skipNonFinite) return [nextMean, nextVariance, tf.clone(skipped)];

  const finite = tf.all(tf.logicalAnd(tf.isFinite(mean), tf.isFinite(variance)));
  return [
    tf.where(finite, nextMean, movingMean),
    tf.where(finite, nextVariance, movingVariance),
    tf.add(skipped, tf.cast(tf.logicalNot(finite), skipped.dtype)),
  ];
}
