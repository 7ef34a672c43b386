import type {Tensor, TensorInfo} from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import type {TensorFlowBackend} from './backend.js';

export type Affine = Record<'gamma' | 'beta', TensorInfo>;
export type Statistics = Record<'mean' | 'variance', TensorInfo>;

/**
 * One way to normalize, without shortcut and activation. What it returns, and what it makes
 * besides, belongs to the tidy around the call.
 */
export interface NormWay {
  /** The reserve is for `gradient`; only that of a GPU is not empty. */
  training(
    backend: TensorFlowBackend,
    x: TensorInfo,
    affine: Affine,
    attrs: NormAttrs,
  ): Record<'y' | 'mean' | 'variance', Tensor> & {reserve: Tensor[]};

  /** → dx, dgamma, dbeta. */
  gradient(
    backend: TensorFlowBackend,
    inputs: Record<'dy' | 'x' | 'gamma', TensorInfo> & Statistics,
    reserve: TensorInfo[],
    attrs: NormAttrs,
  ): Tensor[];

  /** → y. */
  inference(
    backend: TensorFlowBackend,
    x: TensorInfo,
    perChannel: Affine & Statistics,
    attrs: NormAttrs,
  ): Tensor;
}
