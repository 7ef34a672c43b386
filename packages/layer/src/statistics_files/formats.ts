/** What the weights of batch norms are called elsewhere. */

/** Where a file comes from or goes to. */
export type StatisticsFormat = 'tf1' | 'keras' | 'pytorch';

export interface Format {
  /** Between a layer's name and that of its weight. */
  separator: string;
  /** What comes after a layer's name: the first is written, all are read. */
  scopes: readonly string[];
  /** The name there of each weight here. A weight that is not among them is not in the file. */
  weights: Readonly<Record<string, string>>;
  /** Those, by their names there, that a file may lack, or have for a layer without them. */
  optional: readonly string[];
  /** Those that only batch norms have. */
  statistics: readonly string[];
}

const named = (...names: string[]) => Object.fromEntries(names.map(name => [name, name]));

export const formats: Record<StatisticsFormat, Format> = {
  // tf.contrib.layers puts them in a scope of their own; other code of TensorFlow 1 does not.
  tf1: {
    separator: '/',
    scopes: ['/BatchNorm', ''],
    weights: named('gamma', 'beta', 'moving_mean', 'moving_variance'),
    optional: [],
    statistics: ['moving_mean', 'moving_variance'],
  },
  keras: {
    separator: '/',
    scopes: [''],
    weights: named(
      'gamma',
      'beta',
      'moving_mean',
      'moving_variance',
      'moving_stddev',
      'renorm_mean',
      'renorm_stddev',
      // These are not of Keras, but of ResBatchNorm, and are written for its sake.
      'num_batches_tracked',
      'moving_mean_biased',
      'moving_mean_local_step',
    ),
    optional: ['num_batches_tracked', 'moving_mean_biased', 'moving_mean_local_step'],
    statistics: ['moving_mean', 'moving_variance'],
  },
  pytorch: {
    separator: '.',
    scopes: [''],
    weights: {
      gamma: 'weight',
      beta: 'bias',
      moving_mean: 'running_mean',
      moving_variance: 'running_var',
      num_batches_tracked: 'num_batches_tracked',
    },
    // PyTorch counts for every batch norm, and writes it since version 0.4.1.
    optional: ['num_batches_tracked'],
    statistics: ['running_mean', 'running_var'],
  },
};
