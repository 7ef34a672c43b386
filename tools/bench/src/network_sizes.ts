/** How the networks are trained. */
import type {Network} from './requests.js';

/** What the trainer trains on its digits, unless told otherwise. */
export const resNet8: Network = {
  name: 'ResNet-8',
  imageShape: [28, 28, 1],
  batchSize: 32,
};

export const resNet20: Network = {
  name: 'ResNet-20',
  imageShape: [32, 32, 3],
  batchSize: 64,
};

/** Images so small, and so few, that a CPU takes seconds for a step. */
export const resNet50: Network = {
  name: 'ResNet-50 style',
  imageShape: [64, 64, 3],
  batchSize: 8,
};
