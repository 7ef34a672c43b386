/**
 * Makes tfjs-node 4.22 run on Node 23 and newer, with oneDNN. For programs that load it by
 * themselves:
 * `node --import @resbatchnorm/native/register program.js`.
 */
import {restoreIsNullOrUndefined} from './node_fault.js';
import {switchOneDnnOn} from './one_dnn.js';

restoreIsNullOrUndefined();
switchOneDnnOn();
