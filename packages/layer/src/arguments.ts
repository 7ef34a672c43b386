/** The arguments of ResBatchNorm. */
import type * as tfl from '@tensorflow/tfjs-layers';

import type {ActivationName} from './norm/epilogue.js';
import type {Adjustment, RenormClipping} from './norm/variants.js';

/** tfjs-layers does not export the types of its arguments by name. */
type LayerArgs = NonNullable<ConstructorParameters<typeof tfl.layers.Layer>[0]>;
export type BuiltInArgs = NonNullable<
  Parameters<typeof tfl.layers.batchNormalization>[0]
>;

export interface ResBatchNormArgs extends LayerArgs {
  /** The axis of the channels, which is not normalized over; never 0. Default −1. */
  axis?: number;
  /**
   * Weight of the old value in the moving statistics, 0 to 1; `null` for the plain average
   * over all batches, whose count is a weight, num_batches_tracked. Default 0.9.
   */
  momentum?: number | null;
  /** Added to the variance under the root, > 0. Default 1e-3. */
  epsilon?: number;
  /** Whether to add beta. Default true. */
  center?: boolean;
  /** Whether to multiply by gamma. Default true. */
  scale?: boolean;
  /**
   * What a batch does whose mean or variance is not finite: `'skip'` leaves the moving
   * statistics as they are, `'propagate'` lets them become NaN or infinite for good.
   * Default `'skip'`.
   */
  nonFiniteUpdates?: 'skip' | 'propagate';
  /**
   * Whether the moving variance follows the unbiased variance of the batch, n/(n − 1) times
   * the biased one, as in PyTorch and in fused TensorFlow. The batch itself is normalized with
   * the biased one either way. Default false.
   */
  unbiasedMovingVariance?: boolean;
  /**
   * Whether there are moving statistics. If not, the batch's own are used in inference mode,
   * too (PyTorch's `track_running_stats=False`). Default true.
   */
  trackMovingStatistics?: boolean;
  /**
   * Batch renormalization: in training, too, normalizes with moving statistics of its own
   * (renorm_mean, renorm_stddev), as far as `renormClipping` lets it. Adds the weights
   * moving_stddev, renorm_mean, renorm_stddev. Default false.
   */
  renorm?: boolean;
  /** Bounds of the correction that renorm makes. Default none. */
  renormClipping?: RenormClipping | null;
  /** Weight of the old value in renorm_mean and renorm_stddev, 0 to 1. Default 0.99. */
  renormMomentum?: number;
  /**
   * Ghost batch normalization: the number of examples in each of the parts that a batch is
   * split into in training, to be normalized alone. It must divide the batch size.
   * Default none.
   */
  virtualBatchSize?: number | null;
  /**
   * Whether the moving mean is corrected for having started at its initial value
   * (tf.contrib's `zero_debias_moving_mean`). Adds the weights moving_mean_biased and
   * moving_mean_local_step. Default false.
   */
  zeroDebiasMovingMean?: boolean;
  /**
   * Scales and shifts the normalized value in training, before gamma and beta. A function
   * can't be saved: a layer that was loaded has none. Default none.
   */
  adjustment?: Adjustment | null;
  /** Applied at the end, by its name in tfjs-layers. Default `'linear'`. */
  activation?: ActivationName;
  /** Default `'zeros'`. */
  betaInitializer?: BuiltInArgs['betaInitializer'];
  /** Default `'ones'`. */
  gammaInitializer?: BuiltInArgs['gammaInitializer'];
  /** Default `'zeros'`. */
  movingMeanInitializer?: BuiltInArgs['movingMeanInitializer'];
  /** Default `'ones'`. */
  movingVarianceInitializer?: BuiltInArgs['movingVarianceInitializer'];
  /** Default none. */
  betaRegularizer?: BuiltInArgs['betaRegularizer'];
  /** Default none. */
  gammaRegularizer?: BuiltInArgs['gammaRegularizer'];
  /** Default none. */
  betaConstraint?: BuiltInArgs['betaConstraint'];
  /** Default none. */
  gammaConstraint?: BuiltInArgs['gammaConstraint'];
}

/** The arguments that the layer itself goes by, all of them there. */
export type LayerOptions = ReturnType<typeof optionsOf>;

/** What was given, and the defaults for the rest. */
export function optionsOf(args: ResBatchNormArgs) {
  return {
    axis: args.axis ?? -1,
    // Null has a meaning of its own.
    momentum: args.momentum === undefined ? 0.9 : args.momentum,
    epsilon: args.epsilon ?? 1e-3,
    center: args.center ?? true,
    scale: args.scale ?? true,
    nonFiniteUpdates: args.nonFiniteUpdates ?? ('skip' as const),
    unbiasedMovingVariance: args.unbiasedMovingVariance ?? false,
    trackMovingStatistics: args.trackMovingStatistics ?? true,
    renorm: args.renorm ?? false,
    renormClipping: args.renormClipping ?? null,
    renormMomentum: args.renormMomentum ?? 0.99,
    virtualBatchSize: args.virtualBatchSize ?? null,
    zeroDebiasMovingMean: args.zeroDebiasMovingMean ?? false,
    adjustment: args.adjustment ?? null,
    activation: args.activation ?? ('linear' as const),
  };
}
