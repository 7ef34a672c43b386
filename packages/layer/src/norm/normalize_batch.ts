/**
 * Training mode with all its variants. What each does stands in a file of its own; this says
 * in which order they come: the moments, the normalization, the correction of the normalized
 * value, gamma and beta, the end of a residual block. Without variants it is one kernel.
 */
import * as tf from '@tensorflow/tfjs-core';

import {perChannelShape} from '../kernels/channel_view.js';
import {batchNormTraining} from './batch_norm_training.js';
import {renormCorrection, type RenormClipping} from './renorm_correction.js';
import type {ResidualEnd} from './epilogue.js';
import {overVirtualBatches} from './virtual_batches.js';
import {weightedMoments, type Weighting} from './weighted_moments.js';

/**
 * Given the shape of the input, returns the scale and the offset of the normalized value,
 * which broadcast over it. Applied before gamma and beta, in training mode only.
 */
export type Adjustment = (shape: number[]) => [scale: tf.Tensor, offset: tf.Tensor];

export interface Variant {
  axis: number;
  epsilon: number;
  /** The moments are weighted: by a mask, or by weights an example. */
  weighting?: Weighting | null;
  virtualBatchSize?: number | null;
  renorm?: {mean: tf.Tensor; stddev: tf.Tensor; clipping: RenormClipping | null} | null;
  adjustment?: Adjustment | null;
  shortcut?: tf.Tensor | null;
  end: ResidualEnd;
}

export interface VariantResult {
  y: tf.Tensor;
  mean: tf.Tensor1D;
  /** Biased. */
  variance: tf.Tensor1D;
  /** How many values a channel the variance is of; a tensor where the device has to count. */
  count: number | tf.Tensor1D;
}

type Affine = tf.Tensor1D | null;

export function normalizeBatch(
  x: tf.Tensor,
  gamma: Affine,
  beta: Affine,
  variant: Variant,
): VariantResult {
  const {axis, epsilon, shortcut = null, end} = variant;
  if (isPlain(variant) || x.size === 0) {
    const options = {axis, epsilon, shortcut, activation: end.fused};
    const result = batchNormTraining(x, gamma, beta, options);
    return {...result, y: end.afterFused(result.y), count: x.size / x.shape.at(axis)!};
  }
  const result = isCorrected(variant)
    ? normalizeAndCorrect(x, gamma, beta, variant)
    : normalize(x, gamma, beta, variant);
  return {...result, y: end.apply(result.y, shortcut)};
}

function isCorrected({renorm, adjustment}: Variant): boolean {
  return renorm != null || adjustment != null;
}

function isPlain(variant: Variant): boolean {
  const {weighting, virtualBatchSize} = variant;
  return weighting == null && virtualBatchSize == null && !isCorrected(variant);
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

/** Normalizes by the moments of the batch, of parts of it, or by weighted ones. */
function normalize(
  x: tf.Tensor,
  gamma: Affine,
  beta: Affine,
  {axis, epsilon, weighting, virtualBatchSize}: Variant,
): VariantResult {
  const options = {axis, epsilon};
  const count = x.size / x.shape.at(axis)!;
  if (weighting != null) {
    const moments = weightedMoments(x, axis, weighting);
    const shape = perChannelShape(x.shape, axis);
    const r = tf.rsqrt(tf.add(moments.variance, epsilon));
    const centered = tf.sub(x, tf.reshape(moments.mean, shape));
    const normalized = tf.mul(centered, tf.reshape(r, shape));
    return {y: affine(normalized, gamma, beta, shape), ...moments};
  }
  if (virtualBatchSize != null) {
    const result = overVirtualBatches(x, virtualBatchSize, part =>
      batchNormTraining(part, gamma, beta, options),
    );
    return {...result, count: (count / x.shape[0]) * virtualBatchSize};
  }
  return {...batchNormTraining(x, gamma, beta, options), count};
}

function affine(x: tf.Tensor, gamma: Affine, beta: Affine, shape: number[]): tf.Tensor {
  const scaled = gamma === null ? x : tf.mul(x, tf.reshape(gamma, shape));
  return beta === null ? scaled : tf.add(scaled, tf.reshape(beta, shape));
}
