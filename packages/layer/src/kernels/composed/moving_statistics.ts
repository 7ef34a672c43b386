/**
 * How the moving statistics follow those of a batch, by TensorFlow.js's own ops: the rules, and
 * the kernel that applies one of them unless the batch is skipped.
 */
import * as tf from '@tensorflow/tfjs-core';

import type {MovingStatisticsAttrs, RuleName} from '../kernel.js';

type Statistics = Record<string, tf.Tensor>;

/** From the current values of a layer's state variables, by name, to the next ones. */
type Rule = (
  current: Statistics,
  batch: Record<'mean' | 'variance', tf.Tensor>,
  attrs: MovingStatisticsAttrs,
) => Statistics;

/** moving·momentum + batch·(1 − momentum). */
function follow(moving: tf.Tensor, batch: tf.Tensor, momentum: number): tf.Tensor {
  return tf.add(tf.mul(moving, momentum), tf.mul(batch, 1 - momentum));
}

/** Both statistics as exponential moving averages: the rule of Keras, and the default. */
const exponential: Rule = (
  {moving_mean, moving_variance},
  {mean, variance},
  {momentum},
) => ({
  moving_mean: follow(moving_mean, mean, momentum),
  moving_variance: follow(moving_variance, variance, momentum),
});

/**
 * The plain average over all batches so far, which are counted: `momentum=None` of PyTorch.
 * What the statistics were initialized to does not count.
 */
const cumulative: Rule = (
  {moving_mean, moving_variance, num_batches_tracked},
  {mean, variance},
) => {
  const count = tf.add(num_batches_tracked, tf.scalar(1, 'int32'));
  const weight = tf.div(1, tf.cast(count, 'float32'));
  const average = (moving: tf.Tensor, batch: tf.Tensor) =>
    tf.add(moving, tf.mul(tf.sub(batch, moving), weight));
  return {
    moving_mean: average(moving_mean, mean),
    moving_variance: average(moving_variance, variance),
    num_batches_tracked: count,
  };
};

/**
 * `zero_debias_moving_mean` of tf.contrib.layers.batch_norm: the moving mean is an average
 * that starts at 0, divided by the weight that it has gathered, so that it is right from the
 * first step on. The moving variance is an exponential moving average.
 *
 * Source: Kingma and Ba, "Adam", 2015, section 3.
 */
const zeroDebiased: Rule = (
  {moving_variance, moving_mean_biased, moving_mean_local_step},
  {mean, variance},
  {momentum},
) => {
  const biased = follow(moving_mean_biased, mean, momentum);
  const step = tf.add(moving_mean_local_step, tf.scalar(1, 'int32'));
  const gathered = tf.sub(1, tf.pow(tf.scalar(momentum), tf.cast(step, 'float32')));
  return {
    moving_mean: tf.div(biased, gathered),
    moving_variance: follow(moving_variance, variance, momentum),
    moving_mean_biased: biased,
    moving_mean_local_step: step,
  };
};

/**
 * The statistics of batch renormalization, as Keras 3 keeps them: renorm_mean and renorm_stddev
 * for training, with a momentum of their own; moving_mean and moving_stddev for inference,
 * moving_variance being derived from that.
 */
const renorm: Rule = (
  {moving_mean, moving_stddev, renorm_mean, renorm_stddev},
  {mean, variance},
  {momentum, renormMomentum, epsilon},
) => {
  const stddev = tf.sqrt(tf.add(variance, epsilon));
  const nextStddev = follow(moving_stddev, stddev, momentum);
  return {
    moving_mean: follow(moving_mean, mean, momentum),
    moving_variance: tf.relu(tf.sub(tf.square(nextStddev), epsilon)),
    moving_stddev: nextStddev,
    renorm_mean: follow(renorm_mean, mean, renormMomentum),
    renorm_stddev: follow(renorm_stddev, stddev, renormMomentum),
  };
};

const rules: Record<RuleName, Rule> = {exponential, cumulative, zeroDebiased, renorm};

/**
 * The next values of the moving statistics, in the order of the inputs, and of `skipped`.
 * Whether the batch is finite is decided on the device, for all channels at once: a batch
 * counts as a whole or not at all.
 */
export function movingStatistics(
  inputs: Record<string, tf.Tensor>,
  attrs: MovingStatisticsAttrs,
): tf.Tensor[] {
  const {mean, variance, skipped, ...current} = inputs;
  const next = rules[attrs.rule](current, {mean, variance}, attrs);
  const names = Object.keys(current);
  if (!attrs.skipNonFinite) return [...names.map(name => next[name]), tf.clone(skipped)];

  const finite = tf.all(tf.logicalAnd(tf.isFinite(mean), tf.isFinite(variance)));
  return [
    ...names.map(name => tf.where(finite, next[name], current[name])),
    tf.add(skipped, tf.cast(tf.logicalNot(finite), skipped.dtype)),
  ];
}
