import * as tf from '@tensorflow/tfjs-core';

import type {Weighting} from './weighted_moments.js';

/** What Keras adds to the count of unmasked values before dividing by it. */
const COUNT_OFFSET = 1e-7;

/** The weights that leave the masked positions out: those for which the mask is 0 or false. */
export function maskWeighting(mask: tf.Tensor): Weighting {
  return {
    weights: tf.expandDims(tf.cast(tf.cast(mask, 'bool'), 'float32'), -1),
    offset: COUNT_OFFSET,
  };
}

/**
 * x with 0 where it is masked and not finite. What is under a mask is often padding that was
 * never set; 0·NaN is NaN, so no weight and no upstream gradient of 0 would keep it from
 * spreading to the statistics and the gradients.
 */
export function withoutMaskedNonFinites(x: tf.Tensor, mask: tf.Tensor): tf.Tensor {
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
  const unmasked = tf.broadcastTo(tf.reshape(tf.cast(mask, 'bool'), [-1, 1]), shape);
  const keep = tf.logicalOr(unmasked, tf.isFinite(tf.reshape(x, shape)));
  const kept = tf.where(keep, tf.reshape(values, shape), tf.zeros(shape));
  return tf.reshape(kept, x.shape);
}
