import * as tf from '@tensorflow/tfjs-core';

import {constant} from './constant.js';

/** Bounds of the correction; one that is left out, or null, does not bound. */
export interface RenormClipping {
  /** Lower bound of r. Default 0. */
  rmin?: number | null;
  /** Upper bound of r. Default ∞. */
  rmax?: number | null;
  /** Bound of |d|. Default ∞. */
  dmax?: number | null;
}

/**
 * The correction r, d of batch renormalization: y = (x̂·r + d)·gamma + beta normalizes, but
 * for the bounds, with the renorm statistics instead of the batch's:
 *
 *     r = σ/max(renorm_stddev, √epsilon), within [rmin, rmax]
 *     d = (mean − renorm_mean)/max(renorm_stddev, √epsilon), within ±dmax
 *
 * with σ = √(variance + epsilon). No gradient flows through r and d.
 *
 * Source: Ioffe, "Batch Renormalization", 2017; Keras 3.
 */
export function renormCorrection(
  {mean, variance}: Record<'mean' | 'variance', tf.Tensor>,
  renorm: Record<'mean' | 'stddev', tf.Tensor>,
  clipping: RenormClipping | null,
  epsilon: number,
): {r: tf.Tensor; d: tf.Tensor} {
  const rmin = clipping?.rmin ?? 0;
  const rmax = clipping?.rmax ?? Infinity;
  const dmax = clipping?.dmax ?? Infinity;
  const stddev = tf.sqrt(tf.add(variance, epsilon));
  const reference = tf.maximum(renorm.stddev, Math.sqrt(epsilon));
  const r = tf.div(stddev, reference);
  const d = tf.div(tf.sub(mean, renorm.mean), reference);
  return {r: constant(clip(r, rmin, rmax)), d: constant(clip(d, -dmax, dmax))};
}

// Not by clipByValue: a backend may make a NaN of an infinite bound.
function clip(x: tf.Tensor, low: number, high: number): tf.Tensor {
  const raised = Number.isFinite(low) ? tf.maximum(x, low) : x;
  return Number.isFinite(high) ? tf.minimum(raised, high) : raised;
}
