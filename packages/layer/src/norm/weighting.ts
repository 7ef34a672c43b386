import * as tf from '@tensorflow/tfjs-core';

import {maskWeighting, withoutMaskedNonFinites} from './mask.js';
import type {Weighting} from './weighted_moments.js';

/** x without what must not spread, and the weights of its values, if there are any. */
export function weigh(
  x: tf.Tensor,
  mask: tf.Tensor | null,
  batchWeights: tf.Tensor | null,
): {x: tf.Tensor; weighting: Weighting | null} {
  const ofExamples = batchWeights === null ? null : exampleWeighting(batchWeights, x);
  if (mask === null) return {x, weighting: ofExamples};
  const ofMask = maskWeighting(mask);
  const weighting =
    ofExamples === null
      ? ofMask
      : {...ofMask, weights: tf.mul(ofMask.weights, ofExamples.weights)};
  return {x: withoutMaskedNonFinites(x, mask), weighting};
}

/** One weight an example, as `batch_weights` of tf.contrib.layers.batch_norm. */
function exampleWeighting(batchWeights: tf.Tensor, x: tf.Tensor): Weighting {
  const shape = x.shape.map((size, axis) => (axis === 0 ? size : 1));
  return {weights: tf.reshape(tf.cast(batchWeights, 'float32'), shape), offset: 0};
}
