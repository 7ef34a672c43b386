/** Precise batch norm: moving statistics recomputed over data, with all weights fixed. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {batchNormTraining} from '../norm/batch_norm.js';
import {checkCall} from '../norm/check_call.js';
import {weightedMoments, withMomentWeights} from '../norm/weighted_moments.js';
import {describe, ValueError} from '../errors.js';
import {batchNorms, isBuiltInBatchNorm, type BatchNormInModel} from '../batch_norms.js';
import {unbiased} from '../moving/unbiased.js';
import {collectUpdateOps} from '../update_ops.js';
import {checkModel} from './check_model.js';
import {consistentStatistics} from './consistent_statistics.js';
import {setWeightsByName, weightsByName} from './copy_layer.js';
import {overrideCall, type Call} from '../override_call.js';
import {asChannelView} from '../kernels/composed/per_channel.js';
import {moments} from '../kernels/composed/kernels.js';
import {PooledMoments, type Moments} from './pooled_moments.js';
import {checkBatches, eachBatch, inputsIn, type Batches} from './recalibrated_batches.js';

type Layer = tfl.layers.Layer;
type Kwargs = Parameters<Call>[1];
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

function poolsFor(norms: BatchNormInModel[], {name}: tfl.LayersModel): Pools {
  const isTracking = ({layer}: BatchNormInModel) =>
    layer.getConfig().trackMovingStatistics !== false;
  const sought = norms.filter(norm => !norm.isFrozen && isTracking(norm));
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
  norms: BatchNormInModel[],
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
  norms: BatchNormInModel[],
  pools: Pools,
): void {
  const restore = norms.map(({layer}) =>
    overrideCall(layer, call => observed(layer, call, pools.get(layer))),
  );
  try {
    tf.tidy(() => {
      const args = inputs.length === 1 ? inputs[0] : inputs;
      collectUpdateOps(() => model.apply(args, {training: true})).updateOps.dispose();
    });
  } finally {
    for (const undo of restore) undo();
  }
}

/** The call of a batch norm while batches are pooled; one without a pool is frozen. */
function observed(layer: Layer, call: Call, pool: PooledMoments | undefined): Call {
  if (isBuiltInBatchNorm(layer)) {
    if (pool === undefined) {
      return (inputs, kwargs) => call(inputs, {...kwargs, training: false});
    }
    // Its own training mode would move the statistics, and fails without scale or center.
    return inputs => {
      const [x] = [inputs].flat();
      if (x.size > 0) pool.add(momentsOf(layer, x, {}));
      return trainingMode(layer, x);
    };
  }
  return (inputs, kwargs) => {
    const y = call(inputs, kwargs);
    const [x] = [inputs].flat();
    if (pool !== undefined && x.size > 0) pool.add(momentsOf(layer, inputs, kwargs));
    return y;
  };
}

function trainingMode(layer: Layer, x: tf.Tensor): tf.Tensor {
  const {gamma = null, beta = null} = weightsByName(layer) as Record<string, tf.Tensor1D>;
  const {axis, epsilon} = layer.getConfig() as {axis: number; epsilon: number};
  return batchNormTraining(x, gamma, beta, {axis, epsilon}).y;
}

/** The moments of a layer's input, without what is masked. */
function momentsOf(
  layer: Layer,
  inputs: tf.Tensor | tf.Tensor[],
  {mask}: Kwargs,
): Moments {
  return tf.tidy(() => {
    const {axis} = layer.getConfig() as {axis: number};
    // A model passes a list on; a wrapper a tensor, with a mask that is not the layer's.
    const isApplied = Array.isArray(inputs);
    const call = checkCall(layer, inputs, {mask, virtualBatchSize: null, isApplied});
    const float32 = tf.cast(call.x, 'float32');
    const {x, momentWeights} = withMomentWeights(float32, call.mask, null);
    if (momentWeights !== null) {
      return {...weightedMoments(x, axis, momentWeights)};
    }
    const {mean, variance} = moments(asChannelView(x, axis));
    return {
      mean: tf.reshape(mean, [mean.size]),
      variance: tf.reshape(variance, [variance.size]),
      count: tf.scalar(x.size / mean.size),
    };
  });
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
      `recalibrate: the batches are no good:\n  ${faults.join('\n  ')}\nNothing was changed.`,
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
    const isUnbiased = layer.getConfig().unbiasedMovingVariance === true;
    const perChannel = tf.mul(count, tf.onesLike(mean)) as tf.Tensor1D;
    setWeightsByName(layer, {
      ...consistentStatistics(layer, {
        mean,
        variance: isUnbiased ? unbiased(variance as tf.Tensor1D, perChannel) : variance,
      }),
      num_batches_tracked: tf.scalar(batches, 'int32'),
    });
  });
}
