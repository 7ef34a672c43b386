export {DistributedError} from './distributed_error.js';
export type {Call, Engine} from './engine.js';
