/** The non-trainable weights of a layer: which there are, and what they start at. */
import * as tf from '@tensorflow/tfjs-core';

import type {Initializer} from '../argument_objects.js';
import type {RuleName} from '../kernels/kernel.js';

export interface StatisticWeight {
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
export function statisticWeights(
  rule: RuleName,
  {movingMeanInitializer, movingVarianceInitializer}: Initializers,
): StatisticWeight[] {
  const perChannel = (name: string, initializer: Initializer): StatisticWeight => ({
    name,
    perChannel: true,
    dtype: 'float32',
    initializer,
  });
  const counter = (name: string): StatisticWeight => ({
    name,
    perChannel: false,
    dtype: 'int32',
    initializer: zeros,
  });
  const stddevInitializer = mapped(movingVarianceInitializer, tf.sqrt);
  const extra: Record<RuleName, StatisticWeight[]> = {
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
