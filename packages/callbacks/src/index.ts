export {UpdateOpsCheck} from './update_ops_check/update_ops_check.js';
export type {UpdateOpsCheckArgs} from './update_ops_check/update_ops_check.js';
export type {LayerReport} from './update_ops_check/layer_record.js';
export type {OnViolation} from './update_ops_check/violation_handler.js';
export {UpdateOpsError} from './update_ops_check/violations.js';
export type {UpdateOpsViolation, ViolationReason} from './update_ops_check/violations.js';
