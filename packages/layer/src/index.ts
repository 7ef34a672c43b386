/** The public API. Importing it registers the layer's class and hooks into models. */
import {hookModels} from './model_hooks.js';

export type {ResBatchNormArgs} from './arguments.js';
export type {CallKwargs} from './call.js';
export {foldBatchNorm} from './models/fold.js';
export type {FoldedModel} from './models/fold.js';
export {freezeBatchNorm, unfreezeBatchNorm} from './models/freeze.js';
export {recalibrate} from './models/recalibrate.js';
export type {Recalibration, RecalibrateOptions} from './models/recalibrate.js';
export type {Batch, Batches, BatchInputs} from './models/recalibrated_batches.js';
export {replaceBatchNorm} from './models/replace.js';
export type {ReplaceBatchNormOptions} from './models/replace.js';
export {batchNormTraining} from './norm/batch_norm.js';
export type {BatchNormOptions, NormalizedBatch} from './norm/batch_norm.js';
export type {Adjustment, RenormClipping} from './norm/variants.js';
export {ResBatchNorm, resBatchNorm} from './res_batch_norm.js';
export {exportStatistics, importStatistics} from './statistics_files/exchange.js';
export type {
  ExportStatisticsOptions,
  ImportStatisticsOptions,
} from './statistics_files/exchange.js';
export type {LayerNames, StatisticsFormat} from './statistics_files/names.js';
export {decodeSafetensors, encodeSafetensors} from './statistics_files/safetensors.js';
export {collectUpdateOps} from './update_ops.js';
export type {UpdateOps} from './update_ops.js';

hookModels();
