export {
  type Batch,
  gradientsOf,
  normalize,
  type Statistics,
  statisticsOf,
} from './batch_norm_float64.js';
export {largestError} from './largest_error.js';
export {normalValues, seededRandom} from './random.js';
export {
  channelMoments,
  channelOfEach,
  dot,
  finiteDifferences,
  inferenceReference,
  type Problem,
  type Reference,
  trainingReference,
} from './reference.js';
