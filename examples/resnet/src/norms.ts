/** The norms that the ResNet can have. TensorFlow.js is not needed here: options are read first. */
export const normNames = ['res', 'builtin', 'none'] as const;

export type NormName = (typeof normNames)[number];

export const normTitles: Record<NormName, string> = {
  res: 'ResBatchNorm',
  builtin: 'tf.layers.batchNormalization',
  none: 'no norm',
};

/** The largest rate of a schedule. Without a norm a residual network diverges at the usual one. */
export const learningRates: Record<NormName, number> = {
  res: 0.1,
  builtin: 0.1,
  none: 0.01,
};
