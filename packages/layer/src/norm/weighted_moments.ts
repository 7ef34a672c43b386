/**
 * Moments in which values count differently: not at all where they are masked, and as much as
 * their example weighs.
 */
import * as tf from '@tensorflow/tfjs-core';

import {asChannelView, channelSum} from '../kernels/composed/per_channel.js';

/** What the values of x weigh in the moments. */
export interface MomentWeights {
  /** A weight for each value: of the rank of x, each dimension being x's or 1. */
  weights: tf.Tensor;
  /** Added to the sum of the weights before dividing by it. */
  offset: number;
}

/**
 * x with what must not spread taken out, and the weights of its values; null if all weigh the
 * same.
 *
 * @param mask Of the shape of x less its last dimension. Where it is 0 or false, values do not
 *     count.
 * @param batchWeights [batch], a weight for each example.
 */
export function withMomentWeights(
  x: tf.Tensor,
  mask: tf.Tensor | null,
  batchWeights: tf.Tensor | null,
): {x: tf.Tensor; momentWeights: MomentWeights | null} {
  const ofExamples = batchWeights === null ? null : exampleWeights(batchWeights, x);
  if (mask === null) return {x, momentWeights: ofExamples};
  const ofMask = maskWeights(mask);
  const momentWeights =
    ofExamples === null
      ? ofMask
      : {...ofMask, weights: tf.mul(ofMask.weights, ofExamples.weights)};
  return {x: withoutMaskedNonFinites(x, mask), momentWeights};
}

/** One weight an example, as `batch_weights` of tf.contrib.layers.batch_norm. */
function exampleWeights(batchWeights: tf.Tensor, x: tf.Tensor): MomentWeights {
  const shape = x.shape.map((size, axis) => (axis === 0 ? size : 1));
  return {weights: tf.reshape(tf.cast(batchWeights, 'float32'), shape), offset: 0};
}

/** What Keras adds to the count of unmasked values before dividing by it. */
const COUNT_OFFSET = 1e-7;

/**
 * Where a mask is other than 0. The wasm backend's cast to bool keeps the last byte of a value
 * instead, so that a mask of type bool may hold others than 0 and 1 as well.
 */
function isUnmasked(mask: tf.Tensor): tf.Tensor {
  const values = mask.dtype === 'bool' ? tf.cast(mask, 'int32') : mask;
  return tf.notEqual(values, tf.scalar(0, values.dtype as 'int32'));
}

/** 0 for the masked positions, for which the mask is 0 or false, and 1 for all others. */
function maskWeights(mask: tf.Tensor): MomentWeights {
  return {
    weights: tf.expandDims(tf.cast(isUnmasked(mask), 'float32'), -1),
    offset: COUNT_OFFSET,
  };
}

/**
 * x with 0 where it is masked and not finite. What is under a mask is often padding that was
 * never set; 0·NaN is NaN, so no weight and no upstream gradient of 0 would keep it from
 * spreading to the statistics and the gradients.
 */
function withoutMaskedNonFinites(x: tf.Tensor, mask: tf.Tensor): tf.Tensor {
  const clean = tf.customGrad((...args) => {
    const [x, mask] = args as tf.Tensor[];
    const save = args.at(-1) as tf.GradSaveFunc;
    save([x, mask]);
    return {
      value: keepWhere(x, mask, x),
      gradFunc: (dy: tf.Tensor, [x, mask]: tf.Tensor[]) => [
        keepWhere(x, mask, dy),
        tf.zerosLike(mask),
      ],
    };
  });
  return clean(x, mask);
}

/** The values at which x is unmasked or finite, and 0 elsewhere. */
function keepWhere(x: tf.Tensor, mask: tf.Tensor, values: tf.Tensor): tf.Tensor {
  // As matrices: not every backend chooses among tensors of rank 5.
  const shape: [number, number] = [mask.size, x.size / mask.size];
  const unmasked = tf.broadcastTo(tf.reshape(isUnmasked(mask), [-1, 1]), shape);
  const keep = tf.logicalOr(unmasked, tf.isFinite(tf.reshape(x, shape)));
  const kept = tf.where(keep, tf.reshape(values, shape), tf.zeros(shape));
  return tf.reshape(kept, x.shape);
}

export interface WeightedMoments {
  /** [channels] each. */
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
  /** The sum of the weights of each channel. */
  count: tf.Tensor1D;
}

/**
 * Σwx/Σw and Σw(x − mean)²/Σw for each channel, gradients included: the moments of masks
 * (weights 0 and 1) and of weights an example. As without weights, a rough mean comes first.
 */
export function weightedMoments(
  x: tf.Tensor,
  axis: number,
  {weights, offset}: MomentWeights,
): WeightedMoments {
  const values = asChannelView(x, axis);
  const perValue = asChannelView(tf.broadcastTo(weights, x.shape), axis);
  const count = channelSum(perValue);
  const divisor = withoutZeros(tf.add(count, offset));
  const roughMean = tf.div(channelSum(tf.mul(values, perValue)), divisor);
  const centered = tf.sub(values, roughMean);
  const residual = tf.div(
    tf.sub(
      channelSum(tf.mul(centered, perValue)),
      tf.mul(roughMean, tf.sub(divisor, count)),
    ),
    divisor,
  );
  const squares = tf.mul(tf.square(tf.sub(centered, residual)), perValue);
  const perChannel = (tensor: tf.Tensor) =>
    tf.reshape(tensor, [tensor.size]) as tf.Tensor1D;
  return {
    mean: perChannel(tf.add(roughMean, residual)),
    variance: perChannel(tf.div(channelSum(squares), divisor)),
    count: perChannel(count),
  };
}

/** 1 in place of 0: weights that are all 0 have moments that are 0. */
function withoutZeros(divisor: tf.Tensor): tf.Tensor {
  return tf.add(divisor, tf.cast(tf.equal(stopGradient(divisor), 0), 'float32'));
}

/** The same values, through which no gradient flows. */
export function stopGradient(x: tf.Tensor): tf.Tensor {
  const stop = tf.customGrad(x => ({
    value: tf.clone(x as tf.Tensor),
    gradFunc: () => tf.zerosLike(x as tf.Tensor),
  }));
  return stop(x);
}
