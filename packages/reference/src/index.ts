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
