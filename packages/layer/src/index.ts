import {hookModels} from './model_hooks.js';

export {batchNormTraining} from './norm/batch_norm.js';
export type {BatchNormOptions, NormalizedBatch} from './norm/batch_norm.js';
export type {Adjustment, RenormClipping} from './norm/variants.js';
export {foldBatchNorm} from './models/fold.js';
export type {FoldedModel} from './models/fold.js';
export {freezeBatchNorm, unfreezeBatchNorm} from './models/freeze.js';
export {recalibrate} from './models/recalibrate.js';
export type {Recalibration, RecalibrateOptions} from './models/recalibrate.js';
export type {Batch, Batches, BatchInputs} from './models/recalibrated_batches.js';
export {replaceBatchNorm} from './models/replace.js';
export type {ReplaceBatchNormOptions} from './models/replace.js';
export {ResBatchNorm, resBatchNorm} from './res_batch_norm.js';
export type {ResBatchNormArgs} from './arguments.js';
export {decodeSafetensors} from './statistics_files/safetensors.js';
export {encodeSafetensors} from './statistics_files/safetensors.js';
export {exportStatistics} from './statistics_files/exchange.js';
export type {ExportStatisticsOptions} from './statistics_files/exchange.js';
export type {LayerNames} from './statistics_files/names.js';
export type {StatisticsFormat} from './statistics_files/names.js';
export {importStatistics} from './statistics_files/exchange.js';
export type {ImportStatisticsOptions} from './statistics_files/exchange.js';
export {collectUpdateOps} from './update_ops.js';
export type {UpdateOps} from './update_ops.js';

hookModels();
