/**
 * Makes tfjs-node 4.22 run on Node 23 and newer. For programs that load it by themselves:
 * `node --import @resbatchnorm/native/register program.js`.
 */
import {restoreIsNullOrUndefined} from './node_fault.js';

restoreIsNullOrUndefined();
