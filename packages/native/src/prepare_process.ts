import {restoreIsNullOrUndefined} from './node_fault.js';
import {switchOneDnnOn} from './one_dnn.js';

/** What comes before TensorFlow's libraries, which read the environment when they are loaded. */
export function prepareProcess(): void {
  // TensorFlow's own notes on the processor; warnings and errors stay.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
  restoreIsNullOrUndefined();
  switchOneDnnOn();
}
