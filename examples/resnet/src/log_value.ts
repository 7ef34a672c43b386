import type * as tf from '@tensorflow/tfjs-core';

/** The value of a log: an instance of `tfl.Callback` gets tensors, though `Logs` has numbers. */
export async function logValue(log: number | tf.Scalar): Promise<number> {
  return typeof log === 'number' ? log : (await log.data())[0];
}
