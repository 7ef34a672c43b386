/** Precise batch norm: moving statistics recomputed over data, with all weights fixed. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {
  batchNorms,
  hasMovingStatistics,
  isBuiltInBatchNorm,
  isTrained,
  normFields,
  setWeightsByName,
  type BatchNorm,
  type Layer,
} from '../batch_norms.js';
import {withBatchStatistics, type BatchStatistics} from '../batch_statistics.js';
import {describe, ValueError} from '../errors.js';
import {consistentStatistics, unbiased} from '../moving_statistics.js';
import {holdInInferenceMode} from '../override_call.js';
import {checkModel} from './check_model.js';
import {checkBatches, eachBatch, inputsIn, type Batches} from './recalibrated_batches.js';

/** The values seen so far by each layer that is recalibrated. */
type Pools = ReadonlyMap<Layer, PooledMoments>;

export interface RecalibrateOptions {
  /** How many batches to use; there must be so many. Default all. */
  steps?: number;
}

export interface Recalibration {
  /** The batch norms whose statistics are new. */
  layers: string[];
  /** How many batches they are from. */
  batches: number;
}

/**
 * Recomputes the moving statistics of all batch norms of a model, of either class, as the mean
 * and the variance of all values that each meets in the batches, with the weights as they are.
 * Moving averages follow weights that still changed, and weigh the last batches most; these do
 * not. Useful after training, after averaging weights, and for data of another kind.
 *
 * All batches pass through the model once, in training mode: each batch norm normalizes by the
 * batch, so that those after it meet what they do in training. The statistics of a channel are
 * pooled over batches of any sizes, weighted by their numbers of values:
 *
 *     moving_mean     = mean of all values
 *     moving_variance = biased variance of all values, that of the batches' means included
 *
 * (unbiased with `unbiasedMovingVariance`). Masked positions do not count. Gamma, beta, all
 * other weights, `trainable` and the model's mode are unchanged. The count of a cumulative
 * average becomes the number of batches. Frozen batch norms, by themselves or by a model around
 * them, run in inference mode and keep their statistics.
 *
 * @param batches An iterable or async iterable of batches, or a dataset of tf.data, whose
 *     tensors are disposed as `fitDataset` does; others stay the caller's. A batch is the input
 *     of the model, an array of its inputs, an object of them by name, or `{xs}` of these.
 *     Larger batches are better: what a batch norm meets depends on the batch statistics of
 *     those before it.
 * @returns The names of the layers, and how many batches were used.
 * @throws ValueError if an argument or a batch is wrong, if no batch norm can be recalibrated,
 *     if there is too little data (no batch, fewer than `steps`, fewer than 2 values a channel)
 *     or if statistics come out not finite. After any error the model is as it was.
 *
 * Source: Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3; `update_bn_stats`
 * of fvcore and `update_bn` of PyTorch, which pool like this and equally.
 */
export async function recalibrate(
  model: tfl.LayersModel,
  batches: Batches,
  options: RecalibrateOptions = {},
): Promise<Recalibration> {
  checkModel('recalibrate', model);
  checkBatches(batches);
  const steps = checkSteps(options);
  const norms = batchNorms(model);
  const pools = poolsFor(norms, model);
  try {
    const count = await poolBatches(model, batches, steps, norms, pools);
    await checkPools(pools);
    for (const [layer, pool] of pools) setStatistics(layer, pool);
    return {layers: Array.from(pools.keys(), ({name}) => name), batches: count};
  } finally {
    for (const pool of pools.values()) pool.dispose();
  }
}

function checkSteps({steps}: RecalibrateOptions): number {
  if (steps === undefined) return Infinity;
  if (!Number.isInteger(steps) || steps < 1) {
    throw new ValueError(
      `recalibrate: steps must be a positive integer. Received: ${describe(steps)}`,
    );
  }
  return steps;
}

function poolsFor(norms: BatchNorm[], {name}: tfl.LayersModel): Pools {
  const sought = norms.filter(norm => isTrained(norm) && hasMovingStatistics(norm.layer));
  if (sought.length === 0) {
    const received =
      norms.length === 0
        ? 'no batch norm'
        : `batch norms that are frozen or have none: ` +
          norms.map(({layer}) => `'${layer.name}'`).join(', ');
    throw new ValueError(
      `recalibrate: model '${name}' must have a batch norm with moving statistics that is ` +
        `not frozen. Received: a model with ${received}`,
    );
  }
  return new Map(sought.map(({layer}) => [layer, new PooledMoments()]));
}

/** @returns How many batches there were. */
async function poolBatches(
  model: tfl.LayersModel,
  batches: Batches,
  steps: number,
  norms: BatchNorm[],
  pools: Pools,
): Promise<number> {
  let count = 0;
  for await (const batch of eachBatch(batches)) {
    const inputs = inputsIn(batch, count, model);
    runBatch(model, inputs, norms, pools);
    if (++count === steps) break;
  }
  if (count === 0) {
    throw new ValueError('recalibrate: batches must have a batch. Received: none');
  }
  if (steps !== Infinity && count < steps) {
    throw new ValueError(
      `recalibrate: batches must be at least as many as steps, ${steps}. Received: ${count}`,
    );
  }
  return count;
}

/** Calls the model in training mode, with the statistics pooled in place of moved. */
function runBatch(
  model: tfl.LayersModel,
  inputs: tf.Tensor[],
  norms: BatchNorm[],
  pools: Pools,
): void {
  // A ResBatchNorm that is frozen is in inference mode by itself.
  const frozen = norms.filter(
    ({layer}) => !pools.has(layer) && isBuiltInBatchNorm(layer),
  );
  const release = frozen.map(({layer}) => holdInInferenceMode(layer));
  try {
    tf.tidy(() => {
      withBatchStatistics(
        [...pools.keys()],
        (layer, batch) => pools.get(layer)!.add(batch),
        () => model.apply(inputs.length === 1 ? inputs[0] : inputs, {training: true}),
      );
    });
  } finally {
    for (const undo of release) undo();
  }
}

/** Reads back two numbers a layer, all at once. */
async function checkPools(pools: Pools): Promise<void> {
  const entries = Array.from(pools, ([layer, {moments}]) => ({layer, moments}));
  const numbers = tf.tidy(() =>
    tf.stack(
      entries.map(({moments}) =>
        moments === null
          ? tf.tensor1d([0, 1])
          : tf.stack([tf.min(moments.count), areFinite(moments)]),
      ),
    ),
  );
  const values = await numbers.data();
  numbers.dispose();
  const faults = entries.flatMap(({layer: {name}}, i) => {
    const [count, finite] = values.slice(2 * i);
    if (count < 2) {
      return `'${name}' must meet at least 2 values of each channel, and met ${count}`;
    }
    return finite === 1 ? [] : `'${name}' met values that are not finite, or too large`;
  });
  if (faults.length > 0) {
    throw new ValueError(
      `recalibrate: the batches can't be used:\n  ${faults.join('\n  ')}\nNothing was changed.`,
    );
  }
}

/** 1 or 0. */
function areFinite({mean, variance}: Moments): tf.Tensor {
  const all = tf.all(tf.logicalAnd(tf.isFinite(mean), tf.isFinite(variance)));
  return tf.cast(all, 'float32');
}

function setStatistics(layer: Layer, {batches, moments}: PooledMoments): void {
  tf.tidy(() => {
    const {mean, variance, count} = moments!;
    const {unbiasedMovingVariance} = normFields(layer);
    const perChannel = tf.mul(count, tf.onesLike(mean)) as tf.Tensor1D;
    setWeightsByName(layer, {
      ...consistentStatistics(layer, {
        mean,
        variance: unbiasedMovingVariance
          ? unbiased(variance as tf.Tensor1D, perChannel)
          : variance,
      }),
      num_batches_tracked: tf.scalar(batches, 'int32'),
    });
  });
}

/** Of the values of each channel; [channels] each. */
type Moments = {
  mean: tf.Tensor;
  /** Biased. */
  variance: tf.Tensor;
  /** How many values there are; a scalar if they are as many in each channel. */
  count: tf.Tensor;
};

/**
 * Mean and variance of all values of several batches, from those of each batch. With w the
 * batch's part of all values so far and d its mean less that of the others,
 *
 *     mean     += w·d
 *     variance += w·(variance of the batch − variance) + w·(1 − w)·d²
 *
 * in which, unlike in E[x²] − E[x]², nothing cancels.
 *
 * Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
 * Sample Variances", 1979.
 */
class PooledMoments {
  private state: Moments | null = null;
  private added = 0;

  /** How many batches were added. */
  get batches(): number {
    return this.added;
  }

  /** Null before the first batch. The tensors stay this object's. */
  get moments(): Moments | null {
    return this.state;
  }

  add({mean, variance, count}: BatchStatistics): void {
    const previous = this.state;
    this.state = tf.tidy(() => {
      const batch = {mean, variance, count: tf.add(count, 0)};
      return keepAll(previous === null ? batch : pool(previous, batch));
    });
    if (previous !== null) tf.dispose({...previous});
    ++this.added;
  }

  dispose(): void {
    if (this.state !== null) tf.dispose({...this.state});
    this.state = null;
  }
}

function pool({mean, variance, count}: Moments, batch: Moments): Moments {
  const total = tf.add(count, batch.count);
  // A batch may be masked as a whole.
  const w = tf.divNoNan(batch.count, total);
  const d = tf.sub(batch.mean, mean);
  const within = tf.mul(tf.sub(batch.variance, variance), w);
  const between = tf.mul(tf.square(d), tf.mul(w, tf.sub(1, w)));
  return {
    mean: tf.add(mean, tf.mul(w, d)),
    variance: tf.add(variance, tf.add(within, between)),
    count: total,
  };
}

/** Clones, kept when the tidy around them ends. */
function keepAll({mean, variance, count}: Moments): Moments {
  const kept = (tensor: tf.Tensor) => tf.keep(tf.clone(tensor));
  return {mean: kept(mean), variance: kept(variance), count: kept(count)};
}
