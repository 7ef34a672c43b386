/**
 * Identity without a copy. Each tensor that a gradient will need is saved by a clone, and
 * the backend copies its values for that. As in its Reshape, and as on the cpu backend, the
 * clone refers to the same values here: tensors never change, so nothing can tell.
 */
import * as tf from '@tensorflow/tfjs-core';

import {KernelArgs, wasmKernel} from './kernel.js';

type Args = KernelArgs<{x: tf.TensorInfo}, object>;

function identity({inputs: {x}, backend}: Args): tf.TensorInfo {
  backend.incRef(x.dataId);
  return {dataId: x.dataId, shape: x.shape, dtype: x.dtype};
}

export const identityConfig = wasmKernel(tf.Identity, identity);
