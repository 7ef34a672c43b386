/** The norms of TensorFlow.js that are compared, in training mode and channels last. */
import {batchNormTraining} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';

export const epsilon = 1e-3;

export interface Norm {
  /** Whether ResBatchNorm's own kernels run, rather than the composed ones. */
  ownKernels: boolean;
  apply(x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D): tf.Tensor;
}

const resBatchNorm = (x: tf.Tensor, gamma: tf.Tensor1D, beta: tf.Tensor1D) =>
  batchNormTraining(x, gamma, beta, {epsilon}).y;

export const norms = {
  ours: {ownKernels: true, apply: resBatchNorm},
  composed: {ownKernels: false, apply: resBatchNorm},
  builtIn: {
    ownKernels: true,
    // What tf.layers.batchNormalization computes in training.
    apply: (x, gamma, beta) => {
      const axes = Array.from({length: x.rank - 1}, (_, axis) => axis);
      const {mean, variance} = tf.moments(x, axes);
      return tf.batchNorm(
        x,
        mean as tf.Tensor1D,
        variance as tf.Tensor1D,
        beta,
        gamma,
        epsilon,
      );
    },
  },
} satisfies Record<string, Norm>;

export type NormName = keyof typeof norms;
export const normNames = Object.keys(norms) as NormName[];

/** Calls the function with the kernels of that norm. */
export function withKernelsOf<T>({ownKernels}: Norm, call: () => T): T {
  tf.env().set('RES_BATCH_NORM_KERNELS', ownKernels);
  try {
    return call();
  } finally {
    tf.env().set('RES_BATCH_NORM_KERNELS', true);
  }
}
