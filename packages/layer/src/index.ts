export {batchNormTraining} from './batch_norm_training.js';
export type {BatchNormOptions, NormalizedBatch} from './batch_norm_training.js';
export {ResBatchNorm, resBatchNorm} from './res_batch_norm.js';
export type {ResBatchNormArgs} from './res_batch_norm_args.js';
export {collectUpdateOps} from './update_ops.js';
export type {UpdateOps} from './update_ops.js';
