import * as tf from '@tensorflow/tfjs-core';

import {rules} from '../../moving/rules.js';
import type {MovingStatisticsAttrs} from '../kernel.js';

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
