/**
 * Lets timers and frames run during `fit`. tfjs-layers does so itself only as long as no
 * instance of a callback is passed to `fit`, so each callback of this package has to.
 */
import * as tf from '@tensorflow/tfjs-core';

/** tfjs-layers' own interval. */
const INTERVAL_MS = 125;

// Shared by all callbacks of a program: one of them yielding is enough.
let last = -Infinity;

/** Waits for the next frame, unless one was waited for in the last 125 ms. */
export async function yieldIfDue(): Promise<void> {
  if (tf.util.now() - last < INTERVAL_MS) return;
  await tf.nextFrame();
  last = tf.util.now();
}
