/** What other programs of this repository take from the trainer: its model, data and files. */
export {
  type Batch,
  makeBatch,
  type Normalization,
  normalizationOf,
  trainingBatches,
} from './batches.js';
export {loadDigits} from './datasets/digits.js';
export {
  firstImages,
  type ImageDataset,
  type LabelledImages,
} from './datasets/image_dataset.js';
export {largestDifference} from './evaluate.js';
export {modelFiles} from './model_files.js';
export {learningRates, type NormName, normNames, normTitles} from './norms.js';
export {
  apply,
  applyNorm,
  conv,
  normAddRelu,
  normRelu,
  resNet,
  type ResNetArgs,
} from './resnet.js';
export {CosineSchedule, nesterov, train} from './train.js';
