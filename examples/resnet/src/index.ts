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
export {CosineSchedule} from './learning_rate.js';
export {modelFiles} from './model_files.js';
export {apply, applyNorm, normAddRelu, normRelu} from './norm_layers.js';
export type {NormName} from './options.js';
export {resNet, type ResNetArgs} from './resnet.js';
export {train} from './train.js';
