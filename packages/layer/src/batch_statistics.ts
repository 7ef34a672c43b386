/**
 * The one way to look at the statistics of batches: a batch norm of either class tells them
 * while it normalizes by them, so that nobody has to compute them a second time.
 */
import * as tf from '@tensorflow/tfjs-core';

import {findWeight, isResBatchNorm, normFields, type Layer} from './batch_norms.js';
import {perChannelShape} from './channel_view.js';
import {weightedMoments} from './norm/weighted_moments.js';
import {overrideCall} from './override_call.js';

/** The statistics of one batch, [channels] each. They live no longer than the call. */
export interface BatchStatistics {
  mean: tf.Tensor1D;
  /** The biased variance of all values. */
  variance: tf.Tensor1D;
  /** How many values each channel has; the sum of their weights, where they have any. */
  count: number | tf.Tensor1D;
  /**
   * What the moving variance follows: the biased variance, but for `unbiasedMovingVariance`
   * and for `virtualBatchSize`, which follows the mean of those of the virtual batches.
   */
  followedVariance: tf.Tensor1D;
}

/** Is told the statistics of each batch that is not empty. */
export type TakeStatistics = (layer: Layer, batch: BatchStatistics) => void;

/** Who listens to a ResBatchNorm. */
export interface StatisticsListener {
  take(batch: BatchStatistics): void;
  /**
   * If so, the layer is in training mode whatever the call says, makes no update op, and tells
   * trials alone: the call leaves no trace.
   */
  isTrial: boolean;
}

/** The property of a ResBatchNorm that holds its listeners. */
export const STATISTICS_LISTENERS = Symbol.for(
  '@resbatchnorm/layer/statistics_listeners',
);

interface Listening {
  [STATISTICS_LISTENERS]: Set<StatisticsListener>;
}

/**
 * Calls `fn`, with the batch norms `layers`, of either class, in training mode, in whatever
 * model or wrapper they are called. They tell the statistics of each batch in place of moving
 * theirs: no weight changes, and no update op is made. All other layers are as they are.
 *
 * @param fn Is done when it returns.
 */
export function withBatchStatistics<T>(
  layers: readonly Layer[],
  take: TakeStatistics,
  fn: () => T,
): T {
  const restore = layers.map(layer => {
    const takeBatch = (batch: BatchStatistics) => take(layer, batch);
    return isResBatchNorm(layer)
      ? addListener(layer, {take: takeBatch, isTrial: true})
      : overrideCall(layer, () => builtInTrainingMode(layer, takeBatch));
  });
  try {
    return fn();
  } finally {
    for (const undo of restore) undo();
  }
}

/**
 * From now on, tells the statistics of each batch that a ResBatchNorm is trained with. It is
 * trained as without that. What `withBatchStatistics` runs meanwhile is not told.
 *
 * @returns a function that ends it; null for the built-in layer, which does not tell.
 */
export function onBatchStatistics(
  layer: Layer,
  take: (batch: BatchStatistics) => void,
): (() => void) | null {
  return isResBatchNorm(layer) ? addListener(layer, {take, isTrial: false}) : null;
}

function addListener(layer: Layer, listener: StatisticsListener): () => void {
  const listeners = (layer as Layer & Listening)[STATISTICS_LISTENERS];
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/**
 * What the built-in layer computes in training mode, where it would move its statistics, and
 * fails without scale or center.
 */
function builtInTrainingMode(
  layer: Layer,
  take: (batch: BatchStatistics) => void,
): Layer['call'] {
  const {axis, epsilon} = normFields(layer);
  return inputs =>
    tf.tidy(() => {
      const [x] = [inputs].flat();
      if (x.size === 0) return tf.clone(x);
      const perValue = tf.ones(x.shape.map(() => 1));
      const moments = weightedMoments(x, axis, {weights: perValue, offset: 0});
      const {mean, variance} = moments;
      // All values count alike.
      const count = x.size / mean.size;
      take({...moments, count, followedVariance: variance});
      const shape = perChannelShape(x.shape, axis);
      const perChannel = (tensor: tf.Tensor) => tf.reshape(tensor, shape);
      const [gamma, beta] = ['gamma', 'beta'].map(name => findWeight(layer, name));
      const stddev = tf.sqrt(tf.add(variance, epsilon));
      let y = tf.div(tf.sub(x, perChannel(mean)), perChannel(stddev));
      if (gamma !== undefined) y = tf.mul(y, perChannel(gamma.read()));
      return beta === undefined ? y : tf.add(y, perChannel(beta.read()));
    });
}
