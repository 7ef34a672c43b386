/** Runs batch-norm layers in training mode without a trace on them. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {findWeight, isBuiltIn} from '../batch_norm_layers.js';
import type {Layer} from '../batch_norm_layers.js';

type Call = Layer['call'];

/** The statistics of a batch that moving statistics follow; [channels] each. */
export interface BatchStatistics {
  mean: tf.Tensor;
  variance: tf.Tensor;
}

/** What it is given lives no longer than its call. */
export type TakeStatistics = (layer: Layer, batch: BatchStatistics) => void;

/**
 * Calls `fn`, with the layers in training mode and all others as they are, in whatever model or
 * wrapper the layers are. They tell the statistics of each batch in place of following them.
 */
export function inTrainingMode<T>(
  layers: readonly Layer[],
  takeStatistics: TakeStatistics,
  fn: () => T,
): T {
  const restore = layers.map(layer => {
    const take = (batch: BatchStatistics) => takeStatistics(layer, batch);
    return overrideCall(layer, isBuiltIn(layer) ? builtInCall(layer, take) : own(take));
  });
  try {
    return fn();
  } finally {
    restore.forEach(undo => undo());
  }
}

/** Wrappers and models call their layers by `call`. */
function overrideCall(layer: Layer, override: (original: Call) => Call): () => void {
  const previous = Object.getOwnPropertyDescriptor(layer, 'call');
  const value = override(layer.call.bind(layer));
  Object.defineProperty(layer, 'call', {value, configurable: true, writable: true});
  return () => {
    delete (layer as {call?: Call}).call;
    if (previous) Object.defineProperty(layer, 'call', previous);
  };
}

/** A `ResBatchNorm` that is called with a probe makes no update op. */
function own(probe: (batch: BatchStatistics) => void): (call: Call) => Call {
  return call => (inputs, kwargs) => call(inputs, {...kwargs, training: true, probe});
}

/** What the built-in layer computes in training mode, where it writes its statistics. */
function builtInCall(
  layer: Layer,
  take: (batch: BatchStatistics) => void,
): (call: Call) => Call {
  const {axis, epsilon} = layer as Layer & {axis: number; epsilon: number};
  return () => inputs =>
    tf.tidy(() => {
      const [x] = [inputs].flat();
      const channelAxis = axis < 0 ? axis + x.rank : axis;
      const {mean, variance} = tf.moments(
        x,
        x.shape.map((_, i) => i).filter(i => i !== channelAxis),
        true,
      );
      take({mean: tf.reshape(mean, [-1]), variance: tf.reshape(variance, [-1])});
      const perChannel = (name: string) => {
        const weight: tfl.LayerVariable | undefined = findWeight(layer, name);
        return weight && tf.reshape(weight.read(), mean.shape);
      };
      const [gamma, beta] = ['gamma', 'beta'].map(perChannel);
      const normalized = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon)));
      const scaled = gamma ? tf.mul(normalized, gamma) : normalized;
      return beta ? tf.add(scaled, beta) : scaled;
    });
}
