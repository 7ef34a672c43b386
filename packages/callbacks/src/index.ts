export {UpdateOpsCheck} from './update_ops_check.js';
export type {UpdateOpsCheckArgs} from './update_ops_check.js';
export type {LayerReport} from './layer_record.js';
export type {OnViolation} from './violation_handler.js';
export {UpdateOpsError} from './violations.js';
export type {UpdateOpsViolation, ViolationReason} from './violations.js';
