/**
 * For packages that look at the batch norms of a model, as @resbatchnorm/callbacks does:
 * importing this registers nothing.
 */
export {
  batchNorms,
  findWeight,
  frozenHolder,
  hasMovingStatistics,
  isBuiltInBatchNorm,
  isResBatchNorm,
  isTrained,
  normFields,
  statisticsOf,
  weightName,
} from './batch_norms.js';
export type {BatchNorm, Layer, UpdateCounts} from './batch_norms.js';
export {onBatchStatistics, withBatchStatistics} from './batch_statistics.js';
export type {BatchStatistics, TakeStatistics} from './batch_statistics.js';
export {describe, ValueError} from './errors.js';
export {replicaGroup, setReplicaGroup} from './replica_group.js';
export type {ReplicaGroup} from './replica_group.js';
