/**
 * Training mode with all its variants, in the order in which they come: the moments, weighted or
 * of virtual batches; the normalization; the corrections of the normalized value, by renorm and
 * by an adjustment; gamma and beta; the epilogue. Without variants it is one kernel.
 */
import * as tf from '@tensorflow/tfjs-core';

import {perChannelShape} from '../channel_view.js';
import {normByBatch, type BatchNormOptions, type NormalizedBatch} from './batch_norm.js';
import type {Epilogue} from './epilogue.js';
import {synchronizedBatchNorm, type Synchronization} from './synchronized.js';
import {stopGradient, weightedMoments, type MomentWeights} from './weighted_moments.js';

/**
 * Given the shape of the input, returns the scale and the offset of the normalized value,
 * which broadcast over it. Applied before gamma and beta, in training mode only.
 */
export type Adjustment = (shape: number[]) => [scale: tf.Tensor, offset: tf.Tensor];

/** Bounds of the correction; one that is left out, or null, does not bound. */
export interface RenormClipping {
  /** Lower bound of r. Default 0. */
  rmin?: number | null;
  /** Upper bound of r. Default ∞. */
  rmax?: number | null;
  /** Bound of |d|. Default ∞. */
  dmax?: number | null;
}

export interface Variant {
  axis: number;
  epsilon: number;
  momentWeights?: MomentWeights | null;
  virtualBatchSize?: number | null;
  renorm?: {mean: tf.Tensor; stddev: tf.Tensor; clipping: RenormClipping | null} | null;
  adjustment?: Adjustment | null;
  /** The replicas whose batches are normalized together; null for this process alone. */
  synchronization?: Synchronization | null;
  shortcut?: tf.Tensor | null;
  epilogue: Epilogue;
}

export interface VariantResult {
  y: tf.Tensor;
  mean: tf.Tensor1D;
  /** Biased. */
  variance: tf.Tensor1D;
  /** How many values a channel the variance is of; a tensor where the device has to count. */
  count: number | tf.Tensor1D;
  /** [virtual batches, channels], where there are several. */
  virtualMeans?: tf.Tensor2D;
}

type Affine = tf.Tensor1D | null;

export function normalizeBatch(
  x: tf.Tensor,
  gamma: Affine,
  beta: Affine,
  variant: Variant,
): VariantResult {
  const {axis, epsilon, shortcut = null, epilogue} = variant;
  const isEmpty = x.size === 0 && variant.synchronization == null;
  if (isPlain(variant) || isEmpty) {
    const options = {axis, epsilon, shortcut, activation: epilogue.fused};
    const result = plainNorm(x, gamma, beta, options, variant.synchronization);
    result.y = epilogue.afterFused(result.y);
    return result;
  }
  const result = isCorrected(variant)
    ? normalizeAndCorrect(x, gamma, beta, variant)
    : normalize(x, gamma, beta, variant);
  return {...result, y: epilogue.apply(result.y, shortcut)};
}

/** In one go: over the batch, or over those of all replicas. */
function plainNorm(
  x: tf.Tensor,
  gamma: Affine,
  beta: Affine,
  options: BatchNormOptions & Pick<Variant, 'axis' | 'epsilon'>,
  synchronization: Variant['synchronization'],
): NormalizedBatch & {count: number} {
  if (synchronization != null) {
    return synchronizedBatchNorm(x, gamma, beta, options, synchronization);
  }
  const {y, mean, variance} = normByBatch(x, gamma, beta, options);
  return {y, mean, variance, count: x.size / mean.size};
}

function isCorrected({renorm, adjustment}: Variant): boolean {
  return renorm != null || adjustment != null;
}

function isPlain(variant: Variant): boolean {
  const {momentWeights, virtualBatchSize} = variant;
  return momentWeights == null && virtualBatchSize == null && !isCorrected(variant);
}

function normalizeAndCorrect(
  x: tf.Tensor,
  gamma: Affine,
  beta: Affine,
  variant: Variant,
): VariantResult {
  const {axis, epsilon, renorm, adjustment} = variant;
  const result = normalize(x, null, null, variant);
  const shape = perChannelShape(x.shape, axis);
  let corrected = result.y;
  if (renorm != null) {
    const {r, d} = renormCorrection(result, renorm, renorm.clipping, epsilon);
    corrected = tf.add(tf.mul(corrected, tf.reshape(r, shape)), tf.reshape(d, shape));
  }
  if (adjustment != null) {
    const [scale, offset] = adjustment(x.shape.slice());
    corrected = tf.add(tf.mul(corrected, scale), offset);
  }
  return {...result, y: affine(corrected, gamma, beta, shape)};
}

/** Normalizes by the moments of the batch, of virtual batches, or by weighted ones. */
function normalize(
  x: tf.Tensor,
  gamma: Affine,
  beta: Affine,
  {axis, epsilon, momentWeights, virtualBatchSize, synchronization}: Variant,
): VariantResult {
  const options = {axis, epsilon};
  if (momentWeights != null) {
    const moments = weightedMoments(x, axis, momentWeights);
    const shape = perChannelShape(x.shape, axis);
    const r = tf.rsqrt(tf.add(moments.variance, epsilon));
    const centered = tf.sub(x, tf.reshape(moments.mean, shape));
    const normalized = tf.mul(centered, tf.reshape(r, shape));
    return {y: affine(normalized, gamma, beta, shape), ...moments};
  }
  if (virtualBatchSize != null) {
    const result = overVirtualBatches(x, virtualBatchSize, virtualBatch =>
      normByBatch(virtualBatch, gamma, beta, options),
    );
    const valuesAnExample = x.size / x.shape[0] / x.shape.at(axis)!;
    return {...result, count: valuesAnExample * virtualBatchSize};
  }
  return plainNorm(x, gamma, beta, options, synchronization);
}

function affine(x: tf.Tensor, gamma: Affine, beta: Affine, shape: number[]): tf.Tensor {
  const scaled = gamma === null ? x : tf.mul(x, tf.reshape(gamma, shape));
  return beta === null ? scaled : tf.add(scaled, tf.reshape(beta, shape));
}

/**
 * Ghost batch normalization: splits the batch into virtual ones of `size` examples, each of
 * which is normalized alone, and averages their statistics. With B/size = G virtual batches,
 * example i is in the one of number i mod G, as in tf.layers v1.
 *
 * Source: Hoffer, Hubara and Soudry, "Train longer, generalize better", 2017.
 */
function overVirtualBatches(
  x: tf.Tensor,
  size: number,
  normalize: (virtualBatch: tf.Tensor) => NormalizedBatch,
): NormalizedBatch & Pick<VariantResult, 'virtualMeans'> {
  const [batch, ...rest] = x.shape;
  // Not only for speed: tfjs has no gradient for unstacking into one.
  if (batch === size) return normalize(x);
  const virtual = tf.unstack(tf.reshape(x, [size, batch / size, ...rest]), 1);
  const parts = virtual.map(normalize);
  const average = (statistics: tf.Tensor) => tf.mean(statistics, 0) as tf.Tensor1D;
  const virtualMeans = tf.stack(parts.map(({mean}) => mean)) as tf.Tensor2D;
  return {
    y: tf.reshape(
      tf.stack(
        parts.map(({y}) => y),
        1,
      ),
      x.shape,
    ),
    mean: average(virtualMeans),
    variance: average(tf.stack(parts.map(({variance}) => variance))),
    virtualMeans,
  };
}

/**
 * The biased variance of all values of the batch: that within virtual batches of one size, and
 * that of their means.
 */
export function wholeVariance({
  mean,
  variance,
  virtualMeans,
}: VariantResult): tf.Tensor1D {
  if (virtualMeans === undefined) return variance;
  const between = tf.mean(tf.square(tf.sub(virtualMeans, mean)), 0);
  return tf.add(variance, between);
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
function renormCorrection(
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
  return {r: stopGradient(clip(r, rmin, rmax)), d: stopGradient(clip(d, -dmax, dmax))};
}

// Not by clipByValue: a backend may make a NaN of an infinite bound.
function clip(x: tf.Tensor, low: number, high: number): tf.Tensor {
  const raised = Number.isFinite(low) ? tf.maximum(x, low) : x;
  return Number.isFinite(high) ? tf.minimum(raised, high) : raised;
}
