/**
 * Batch normalization and its gradients in float64, in closed form, fast enough for batches
 * of millions of values. The tests hold it to the plain reference and to finite differences.
 */
export interface Batch {
  x: Float32Array;
  shape: number[];
  /** From 0. */
  axis: number;
  gamma: Float32Array;
  beta: Float32Array;
  epsilon: number;
}

export interface Statistics {
  /** [channels]. */
  mean: Float64Array;
  /** Biased, [channels]. */
  variance: Float64Array;
}

export interface Gradients {
  dx: Float64Array;
  dgamma: Float64Array;
  dbeta: Float64Array;
}

/** The mean and the biased variance of each channel, in two passes. */
export function statisticsOf({x, shape, axis}: Batch): Statistics {
  const channelOf = channels(shape, axis);
  const n = x.length / shape[axis];
  const mean = new Float64Array(shape[axis]);
  x.forEach((value, i) => (mean[channelOf(i)] += value / n));
  const variance = new Float64Array(shape[axis]);
  x.forEach((value, i) => {
    const c = channelOf(i);
    variance[c] += (value - mean[c]) ** 2 / n;
  });
  return {mean, variance};
}

/** y = gamma·(x − mean)/√(variance + epsilon) + beta */
export function normalize(batch: Batch, {mean, variance}: Statistics): Float64Array {
  const {x, shape, axis, gamma, beta, epsilon} = batch;
  const channelOf = channels(shape, axis);
  return Float64Array.from(x, (value, i) => {
    const c = channelOf(i);
    return (gamma[c] * (value - mean[c])) / Math.sqrt(variance[c] + epsilon) + beta[c];
  });
}

/**
 * The gradients of Σ dy·y in training mode. With r = 1/√(variance + epsilon) and n values a
 * channel:
 *
 *     dbeta  = Σ dy
 *     dgamma = r·Σ dy·(x − mean)
 *     dx     = gamma·r·(dy − dbeta/n − (x − mean)·r·dgamma/n)
 */
export function gradientsOf(
  {x, shape, axis, gamma, epsilon}: Batch,
  {mean, variance}: Statistics,
  dy: Float32Array,
): Gradients {
  const channelOf = channels(shape, axis);
  const n = x.length / shape[axis];
  const r = variance.map(v => 1 / Math.sqrt(v + epsilon));
  const dgamma = new Float64Array(shape[axis]);
  const dbeta = new Float64Array(shape[axis]);
  x.forEach((value, i) => {
    const c = channelOf(i);
    dgamma[c] += dy[i] * (value - mean[c]) * r[c];
    dbeta[c] += dy[i];
  });
  const dx = Float64Array.from(x, (value, i) => {
    const c = channelOf(i);
    const normalized = (value - mean[c]) * r[c];
    return gamma[c] * r[c] * (dy[i] - dbeta[c] / n - (normalized * dgamma[c]) / n);
  });
  return {dx, dgamma, dbeta};
}

/** The channel of the value at a flat index. */
function channels(shape: readonly number[], axis: number): (index: number) => number {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  return index => Math.floor(index / inner) % shape[axis];
}
