/**
 * The kernels of batch normalization: their names, inputs, attributes and outputs. An op calls
 * `runKernel`; a backend's folder holds the implementations that were written for it (those of
 * cpu are in `arrays`, which wasm shares); the folder `composed` holds one of each for every
 * other backend.
 *
 * x, y, dy, dx and the shortcut are all of one shape, of rank 2 or more; what is named after a
 * parameter or a statistic is [channels]; all of them are float32. The axis of the channels is
 * an attribute; channel_view.ts makes three dimensions of any shape, for kernels that do not
 * care for more.
 */
import type {Attribute, KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

/**
 * x, gamma, beta, shortcut? → y, mean, variance, …reserve:
 *
 *     y = activation(gamma·(x − mean)/√(variance + epsilon) + beta + shortcut)
 *
 * with the batch's mean and biased variance. The reserve is up to three tensors that this
 * backend's TRAINING_GRAD wants to have kept; most have none.
 */
export const TRAINING = 'ResBatchNormTraining';

/** TRAINING with an activation that is not linear: its gradient needs y, which is kept. */
export const ACTIVATED_TRAINING = 'ResBatchNormActivatedTraining';

/**
 * dy, x, gamma, mean, variance, y?, reserve0…2? → dx, dgamma, dbeta, dshortcut?: the gradient
 * of y alone. y is there unless the activation is linear. dshortcut, there if `hasShortcut` is
 * set, is dz = dy·activation′; dx, dgamma and dbeta are the gradient of the norm for dz.
 */
export const TRAINING_GRAD = 'ResBatchNormTrainingGrad';

/** x, gamma, beta, mean, variance, shortcut? → y: as TRAINING, with the statistics given. */
export const INFERENCE = 'ResBatchNormInference';

/** INFERENCE with an activation that is not linear: its gradient needs y, which is kept. */
export const ACTIVATED_INFERENCE = 'ResBatchNormActivatedInference';

/**
 * The moving statistics by name, and mean, variance, skipped → the next moving statistics, in
 * the order of the inputs, and the next skipped, a float32 scalar that counts the batches that
 * were skipped as non-finite. Where the values stay as they are, the data may be the same.
 */
export const MOVING_STATISTICS = 'ResBatchNormMovingStatistics';

/**
 * x → moments, [3, channels]: the mean; what float32 cuts off it; the biased variance. This and
 * the next two are the parts of TRAINING and TRAINING_GRAD between which replicas join their
 * sums; norm/synchronized.ts puts them together.
 */
export const MOMENTS = 'ResBatchNormMoments';

/** dy, x, mean, y? → sums, [2, channels]: Σ dz and Σ dz·(x − mean), with dz = dy·activation′. */
export const GRAD_SUMS = 'ResBatchNormGradSums';

/**
 * dy, x, affine, y? → dx, dshortcut?: dx = a·dz + b·(x − shift) + c with affine, [4, channels],
 * being shift, a, b and c. dshortcut is as that of TRAINING_GRAD.
 */
export const INPUT_GRAD = 'ResBatchNormInputGrad';

/** The activations that kernels apply. All others are an op of their own. */
export const fusedActivations = ['linear', 'relu', 'relu6'] as const;

export type FusedActivation = (typeof fusedActivations)[number];

export function isFusedActivation(name: string): name is FusedActivation {
  return (fusedActivations as readonly string[]).includes(name);
}

type Inputs<Required extends string, Optional extends string = never> = Record<
  Required,
  TensorInfo
> &
  Partial<Record<Optional, TensorInfo>>;

export type TrainingInputs = Inputs<'x' | 'gamma' | 'beta', 'shortcut'>;
export type TrainingGradInputs = Inputs<
  'dy' | 'x' | 'gamma' | 'mean' | 'variance',
  'y' | 'reserve0' | 'reserve1' | 'reserve2'
>;
export type InferenceInputs = Inputs<
  'x' | 'gamma' | 'beta' | 'mean' | 'variance',
  'shortcut'
>;
export type MomentsInputs = Inputs<'x'>;
export type GradSumsInputs = Inputs<'dy' | 'x' | 'mean', 'y'>;
export type InputGradInputs = Inputs<'dy' | 'x' | 'affine', 'y'>;
/** mean, variance and skipped, and the moving statistics by name. */
export type MovingStatisticsInputs = Record<string, TensorInfo>;

/** Attributes of all kernels but MOVING_STATISTICS. */
export interface NormAttrs {
  [name: string]: Attribute;
  /** Of the channels; counts from the start. */
  axis: number;
  epsilon: number;
  activation: FusedActivation;
  /**
   * Whether a shortcut is added. Of gradients, whether dshortcut is an output: never where the
   * activation is linear, as it is dy then.
   */
  hasShortcut: boolean;
}

/** By which rule the moving statistics follow the batch's; composed/moving_statistics.ts has them. */
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

/** Which statistic of the batch each moving one follows by the rule `exponential`. */
export const followed: Readonly<Record<string, 'mean' | 'variance'>> = {
  moving_mean: 'mean',
  moving_variance: 'variance',
};

/**
 * A kernel of one backend. In a case that it can't compute, it returns null before it has made
 * anything, and the composed kernel runs.
 */
export type Kernel<KernelInputs, Attrs> = (
  inputs: KernelInputs,
  attrs: Attrs,
  backend: KernelBackend,
) => TensorInfo[] | null;

/** The kernels of one backend, by what they do. */
export interface Kernels {
  training: Kernel<TrainingInputs, NormAttrs>;
  trainingGrad: Kernel<TrainingGradInputs, NormAttrs>;
  inference: Kernel<InferenceInputs, NormAttrs>;
  movingStatistics: Kernel<MovingStatisticsInputs, MovingStatisticsAttrs>;
}

/** Those for replicas, which a backend may leave to the composed ones. */
export interface SynchronizedKernels {
  moments: Kernel<MomentsInputs, NormAttrs>;
  gradSums: Kernel<GradSumsInputs, NormAttrs>;
  inputGrad: Kernel<InputGradInputs, NormAttrs>;
}

export type AllKernels = Kernels & SynchronizedKernels;

/** The kernel that each name stands for. */
export const kernelNames = {
  [TRAINING]: 'training',
  [ACTIVATED_TRAINING]: 'training',
  [TRAINING_GRAD]: 'trainingGrad',
  [INFERENCE]: 'inference',
  [ACTIVATED_INFERENCE]: 'inference',
  [MOMENTS]: 'moments',
  [GRAD_SUMS]: 'gradSums',
  [INPUT_GRAD]: 'inputGrad',
  [MOVING_STATISTICS]: 'movingStatistics',
} as const satisfies Record<string, keyof AllKernels>;

export type KernelName = keyof typeof kernelNames;
