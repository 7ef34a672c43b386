/** The checks of what a layer is called with, all before the first op. */
import type * as tf from '@tensorflow/tfjs-core';
import {util} from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {describe, ValueError} from '../errors.js';
import {isInGraph, isMaskedInGraph} from './mask_source.js';

type Layer = tfl.layers.Layer;

export interface CallOptions {
  x: tf.Tensor;
  shortcut: tf.Tensor | null;
  /** Of the shape of x less its last dimension. */
  mask: tf.Tensor | null;
  /** [batch]. */
  batchWeights: tf.Tensor | null;
}

interface ToCheck {
  mask?: tf.Tensor | null;
  batchWeights?: tf.Tensor | null;
  virtualBatchSize: number | null;
  /** Whether the call came through `apply`, not from a wrapper straight to `call`. */
  isApplied: boolean;
}

/** @throws ValueError that names the layer and what does not fit. */
export function checkCall(
  layer: Layer,
  inputs: tf.Tensor | tf.Tensor[],
  {mask, batchWeights, virtualBatchSize, isApplied}: ToCheck,
): CallOptions {
  const refuse = (what: string, received: unknown): never => {
    throw new ValueError(
      `ResBatchNorm '${layer.name}': ${what}. Received: ${describe(received)}`,
    );
  };
  const [x, shortcut = null] = Array.isArray(inputs) ? inputs : [inputs];
  const [batch] = x.shape;
  if (shortcut !== null && !util.arraysEqual(shortcut.shape, x.shape)) {
    refuse(
      `the shortcut must have the shape of the input, ${describe(x.shape)}`,
      shortcut.shape,
    );
  }
  if (batchWeights != null && !util.arraysEqual(batchWeights.shape, [batch])) {
    refuse(
      `batchWeights must be of shape [${batch}], one an example`,
      batchWeights.shape,
    );
  }
  // tfjs-layers hands one object of arguments to all layers of a model and takes no mask out of
  // it again. What a model or a wrapper calls a layer with may be the mask of another.
  const isByUser = isApplied && !(Array.isArray(inputs) && isInGraph(layer));
  const expected = x.shape.slice(0, -1);
  const fits = mask != null && util.arraysEqual(mask.shape, expected);
  if (isByUser && mask != null && !fits) {
    refuse(
      `the mask must have the shape of the input less its last dimension, ${describe(expected)}`,
      mask.shape,
    );
  }
  const isOwn = fits && (isByUser || (isApplied && isMaskedInGraph(layer)));
  const call = {
    x,
    shortcut,
    mask: isOwn ? mask : null,
    batchWeights: batchWeights ?? null,
  };
  if (virtualBatchSize !== null) {
    if (call.mask !== null) {
      refuse("virtualBatchSize can't be used with a mask", call.mask.shape);
    }
    if (batchWeights != null) {
      refuse("virtualBatchSize can't be used with batchWeights", batchWeights.shape);
    }
    if (batch % virtualBatchSize !== 0) {
      refuse(
        `virtualBatchSize, ${virtualBatchSize}, must divide the number of examples in the batch`,
        batch,
      );
    }
  }
  return call;
}
