/** Batch normalization in float64, what it is computed of and how it is compared. */
export {
  type Batch,
  gradientsOf,
  normalize,
  type Statistics,
  statisticsOf,
} from './batch_norm_float64.js';
export {
  channelMoments,
  channelOfEach,
  inferenceReference,
  type Problem,
  type Reference,
  trainingReference,
} from './reference.js';
export {
  dot,
  finiteDifferences,
  largestError,
  normalValues,
  seededRandom,
} from './values.js';
