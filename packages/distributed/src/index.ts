export {connect, type ConnectOptions, hasOtherReplicas} from './connect.js';
export {DistributedError} from './distributed_error.js';
export type {Replicas} from './replicas.js';
