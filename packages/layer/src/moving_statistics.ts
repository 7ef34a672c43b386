/**
 * The moving statistics of a layer: the variables that they are kept in, the rule by which a
 * batch changes them, and their update.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {LayerVariable} from '@tensorflow/tfjs-layers';

import type {Initializer, LayerOptions} from './arguments.js';
import {normFields, weightsByName, type Layer} from './batch_norms.js';
import {
  MOVING_STATISTICS,
  type MovingStatisticsAttrs,
  type RuleName,
} from './kernels/kernel.js';
import {runKernel} from './kernels/run_kernel.js';

/** The non-trainable weights of a layer, by name, and the rule by which a batch changes them. */
export class MovingStatistics {
  /**
   * On the device, so that counting needs no reading back; and float32, as TensorFlow keeps
   * int32 on the host, which a GPU would wait for. Exact up to 2^24, where it stops.
   */
  private readonly skipped: tf.Variable<tf.Rank.R0>;

  /** @param layer The name of the layer, for messages. */
  constructor(
    private readonly layer: string,
    private readonly variables: Record<string, LayerVariable>,
    private readonly attrs: MovingStatisticsAttrs,
  ) {
    this.skipped = tf.tidy(() => tf.variable(tf.scalar(0), false));
    this.disposeAlong(variables.moving_mean);
  }

  /**
   * The count is not one of the layer's weights, which wrappers and models dispose of one by
   * one, without telling the layer.
   */
  private disposeAlong(variable: LayerVariable): void {
    const dispose = variable.dispose.bind(variable);
    variable.dispose = () => {
      dispose();
      this.skipped.dispose();
    };
  }

  /** The current value of a statistic; the live variable, not a copy. */
  read(name: string): tf.Tensor1D {
    return this.variables[name].read() as tf.Tensor1D;
  }

  /** Assigns the values that follow from a batch. */
  update({mean, variance}: Record<'mean' | 'variance', tf.Tensor1D>): void {
    const inputs: tf.NamedTensorMap = {mean, variance};
    for (const name in this.variables) inputs[name] = this.variables[name].read();
    inputs.skipped = this.skipped;
    const next = runKernel(MOVING_STATISTICS, inputs, this.attrs);
    try {
      let i = 0;
      for (const name in this.variables) (inputs[name] as tf.Variable).assign(next[i++]);
      this.skipped.assign(next[i] as tf.Scalar);
    } finally {
      for (const tensor of next) tensor.dispose();
    }
  }

  /** How many updates were skipped, because the batch's statistics were not finite. */
  async readSkippedCount(): Promise<number> {
    if (this.skipped.isDisposed) {
      throw new Error(
        `ResBatchNorm '${this.layer}': the count of skipped updates can't be read: the layer ` +
          'was disposed',
      );
    }
    // A clone, as an update may replace the variable's value while it is being read.
    const skipped = tf.clone(this.skipped);
    try {
      return (await skipped.data())[0];
    } finally {
      skipped.dispose();
    }
  }
}

/** The rule that the arguments of a layer ask for; of two, checkArguments would have said so. */
export function ruleOf(options: LayerOptions): RuleName {
  if (options.renorm) return 'renorm';
  if (options.zeroDebiasMovingMean) return 'zeroDebiased';
  return options.momentum === null ? 'cumulative' : 'exponential';
}

export interface StateVariable {
  name: string;
  /** One value a channel, or one in all. */
  perChannel: boolean;
  dtype: 'float32' | 'int32';
  initializer: Initializer;
}

type Initializers = Record<
  'movingMeanInitializer' | 'movingVarianceInitializer',
  Initializer
>;

/** In the order in which they are saved, which for renorm is that of Keras 3. */
export function stateVariables(
  rule: RuleName,
  {movingMeanInitializer, movingVarianceInitializer}: Initializers,
): StateVariable[] {
  const perChannel = (name: string, initializer: Initializer): StateVariable => ({
    name,
    perChannel: true,
    dtype: 'float32',
    initializer,
  });
  const counter = (name: string): StateVariable => ({
    name,
    perChannel: false,
    dtype: 'int32',
    initializer: zeros,
  });
  const stddevInitializer = mapped(movingVarianceInitializer, tf.sqrt);
  const extra: Record<RuleName, StateVariable[]> = {
    exponential: [],
    cumulative: [counter('num_batches_tracked')],
    zeroDebiased: [
      perChannel('moving_mean_biased', zeros),
      counter('moving_mean_local_step'),
    ],
    renorm: [
      perChannel('moving_stddev', stddevInitializer),
      perChannel('renorm_mean', movingMeanInitializer),
      perChannel('renorm_stddev', stddevInitializer),
    ],
  };
  return [
    perChannel('moving_mean', movingMeanInitializer),
    perChannel('moving_variance', movingVarianceInitializer),
    ...extra[rule],
  ];
}

/** An initializer whose values are those of another, changed; never saved by itself. */
function mapped(
  initializer: Initializer,
  change: (x: tf.Tensor) => tf.Tensor,
): Initializer {
  const apply: Initializer['apply'] = (shape, dtype) =>
    tf.tidy(() => change(initializer.apply(shape, dtype)));
  return {apply} as Initializer;
}

const zeros = {
  apply: (shape, dtype) => tf.zeros(shape as number[], dtype),
} as Initializer;

/**
 * Bessel's correction: the variance of n values times n/(n − 1), the estimate of the variance
 * of what they were drawn from. One value has none: its variance stays 0.
 */
export function unbiased(
  variance: tf.Tensor1D,
  count: number | tf.Tensor1D,
): tf.Tensor1D {
  if (typeof count === 'number') {
    return tf.mul(variance, count > 1 ? count / (count - 1) : 1);
  }
  const factor = tf.div(count, tf.maximum(tf.sub(count, 1), 1e-7));
  return tf.where(
    tf.greater(count, 1),
    tf.mul(variance, factor),
    variance,
  ) as tf.Tensor1D;
}

/**
 * The non-trainable weights that a batch norm has for a moving mean and variance that come from
 * elsewhere: those two, and what the layer derives them from in training, without which its
 * next update would go on from the statistics before. What renorm normalizes by in training,
 * and the count of a cumulative average, are not among them.
 */
export function consistentStatistics(
  layer: Layer,
  {mean, variance}: {mean: tf.Tensor; variance: tf.Tensor},
): tf.NamedTensorMap {
  const {epsilon, momentum} = normFields(layer);
  const {moving_stddev, moving_mean_biased} = weightsByName(layer);
  const statistics: tf.NamedTensorMap = {moving_mean: mean, moving_variance: variance};
  if (moving_stddev !== undefined) {
    statistics.moving_stddev = tf.sqrt(tf.add(variance, epsilon));
  }
  if (moving_mean_biased !== undefined) {
    // As after so many steps that the average has all its weight, to the precision of float32.
    const steps =
      momentum === 0 ? 1 : Math.ceil(Math.log(2 ** -24) / Math.log(momentum!));
    statistics.moving_mean_biased = mean;
    statistics.moving_mean_local_step = tf.scalar(steps, 'int32');
  }
  return statistics;
}
