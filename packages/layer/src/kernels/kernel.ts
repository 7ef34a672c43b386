/**
 * The kernels of batch normalization: their names, inputs, attributes and outputs. An op calls
 * `runKernel`; a backend's folder holds the implementations that were written for it; the
 * folder `composed` holds one of each for every other backend.
 *
 * x, y, dy and dx are [outer, channels, inner] (see channel_view.ts); all others [channels].
 */
import type {Attribute, KernelFunc, TensorInfo} from '@tensorflow/tfjs-core';

/**
 * x, gamma, beta → y, mean, variance: normalizes with the batch's statistics. The variance is
 * the biased one.
 */
export const TRAINING = 'ResBatchNormTraining';

/** dy, x, gamma, mean, variance → dx, dgamma, dbeta: the gradient of y alone. */
export const TRAINING_GRAD = 'ResBatchNormTrainingGrad';

/** x, gamma, beta, mean, variance → y: normalizes with the statistics given. */
export const INFERENCE = 'ResBatchNormInference';

/**
 * The moving statistics by name, and mean, variance, skipped → the next moving statistics, in
 * the order of the inputs, and the next skipped, a scalar that counts the batches that were
 * skipped as non-finite.
 */
export const MOVING_STATISTICS = 'ResBatchNormMovingStatistics';

export type KernelName =
  typeof TRAINING | typeof TRAINING_GRAD | typeof INFERENCE | typeof MOVING_STATISTICS;

export type TrainingInputs = Record<'x' | 'gamma' | 'beta', TensorInfo>;
export type TrainingGradInputs = Record<
  'dy' | 'x' | 'gamma' | 'mean' | 'variance',
  TensorInfo
>;
export type InferenceInputs = Record<
  'x' | 'gamma' | 'beta' | 'mean' | 'variance',
  TensorInfo
>;

/** Attributes of all kernels but MOVING_STATISTICS. */
export interface NormAttrs {
  [name: string]: Attribute;
  epsilon: number;
}

/** By which rule the moving statistics follow the batch's; moving/ has them all. */
export type RuleName = 'exponential' | 'cumulative' | 'zeroDebiased' | 'renorm';

export interface MovingStatisticsAttrs {
  [name: string]: Attribute;
  rule: RuleName;
  momentum: number;
  renormMomentum: number;
  epsilon: number;
  /** Whether a batch with a non-finite mean or variance leaves the statistics as they are. */
  skipNonFinite: boolean;
}

/** The kernels that one backend has. */
export type Kernels = Partial<Record<KernelName, KernelFunc>>;
