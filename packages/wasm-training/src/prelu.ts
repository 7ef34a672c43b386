/**
 * Prelu: x where x ≥ 0, else alpha·x. The slopes alpha broadcast to the shape of x.
 *
 * The backend repeats the values of alpha over those of x in the order of the memory. That is
 * right only if the dimensions of alpha, less those of size 1 before, are the last ones of x:
 * not for slopes of [height, 1, channels], which share the columns. They are written out here.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {refusal} from './kernel.js';
import {Temporaries} from './temporaries.js';

interface Args {
  inputs: {x: tf.TensorInfo; alpha: tf.TensorInfo};
  backend: BackendWasm;
}

export function prelu(ofBackend: tf.KernelFunc): tf.KernelFunc {
  function kernelFunc({inputs: {x, alpha}, backend}: Args) {
    const temporaries = new Temporaries(backend);
    try {
      const slopes = slopesFor(tf.Prelu, alpha, x.shape, temporaries);
      return ofBackend({inputs: {x, alpha: slopes}, attrs: {}, backend});
    } finally {
      temporaries.dispose();
    }
  }
  return kernelFunc as unknown as tf.KernelFunc;
}

/**
 * Slopes that mean the same when they are repeated over a tensor of the given shape in the
 * order of the memory. Throws an error that names the kernel if `alpha` is not float32 or
 * does not broadcast to the shape.
 */
export function slopesFor(
  kernelName: string,
  alpha: tf.TensorInfo,
  shape: number[],
  temporaries: Temporaries,
): tf.TensorInfo {
  const missing = shape.length - alpha.shape.length;
  const sizes = [...new Array<number>(Math.max(0, missing)).fill(1), ...alpha.shape];
  const fits = sizes.every((size, axis) => size === 1 || size === shape[axis]);
  if (alpha.dtype !== 'float32' || missing < 0 || !fits) {
    throw refusal(
      kernelName,
      `float32 slopes that broadcast to [${shape}]`,
      `${alpha.dtype} [${alpha.shape}]`,
    );
  }
  const first = sizes.findIndex(size => size !== 1);
  if (first < 0 || sizes.every((size, axis) => axis < first || size === shape[axis])) {
    return alpha;
  }
  const varying = sizes.slice(first);
  return temporaries.run(
    tf.Tile,
    {x: temporaries.view(alpha, 0, varying)},
    {reps: varying.map((size, axis) => shape[first + axis] / size)},
  );
}
