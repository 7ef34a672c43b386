/**
 * BatchMatMul, faster where a factor is transposed, as both are in the gradients of a dense
 * layer: the backend computes such a product in a plain loop, ten times slower than one of
 * matrices as they are. So the factor is transposed first. Batches of more than one product
 * are left to the backend.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {Temporaries} from './temporaries.js';

interface Args {
  inputs: {a: tf.TensorInfo; b: tf.TensorInfo};
  attrs: tf.BatchMatMulAttrs;
  backend: BackendWasm;
}

export function batchMatMul(ofBackend: tf.KernelFunc): tf.KernelFunc {
  function kernelFunc({inputs: {a, b}, attrs, backend}: Args) {
    const {transposeA, transposeB} = attrs;
    const isSingle = isOneMatrix(a) && isOneMatrix(b);
    const temporaries = new Temporaries(backend);
    const transposed = (matrix: tf.TensorInfo, isTransposed: boolean) =>
      isTransposed && isSingle ? swapLastAxes(matrix, temporaries) : matrix;
    try {
      return ofBackend({
        inputs: {a: transposed(a, transposeA), b: transposed(b, transposeB)},
        attrs: {
          transposeA: transposeA && !isSingle,
          transposeB: transposeB && !isSingle,
        },
        backend,
      });
    } finally {
      temporaries.dispose();
    }
  }
  return kernelFunc as unknown as tf.KernelFunc;
}

function isOneMatrix({shape}: tf.TensorInfo): boolean {
  return tf.util.sizeFromShape(shape.slice(0, -2)) === 1;
}

function swapLastAxes(matrix: tf.TensorInfo, temporaries: Temporaries): tf.TensorInfo {
  const perm = matrix.shape.map((_, axis) => axis);
  perm.push(...perm.splice(-2).reverse());
  return temporaries.run(tf.Transpose, {x: matrix}, {perm});
}
