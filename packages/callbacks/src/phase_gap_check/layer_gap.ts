/** How far the moving statistics of a layer are from what they should follow, and why. */
import {
  findWeight,
  isResBatchNorm,
  type BatchNorm,
  type Layer,
} from '@resbatchnorm/layer/introspection';

import {counted} from '../counted.js';
import {statisticsDistance} from '../statistics_distance.js';
import {explainByOneValue, type Observation} from './one_value.js';
import type {ProbeStatistics} from './probe.js';
import {momentumOf, type Updates} from './update_progress.js';

/**
 * Why the moving statistics of a layer are off:
 * - collected and not run: update ops that `collectUpdateOps` returned were dropped
 * - never updated: still the initial values, or no update op ran in the training
 * - one value a channel: the variance of such batches is 0, and so becomes the moving variance
 * - momentum too high: the values before the updates make up more than 20 %
 * - unlike the data: none of these; other data than in training, or weights that move fast
 */
export type PhaseGapCause =
  | 'collected and not run'
  | 'never updated'
  | 'one value a channel'
  | 'momentum too high'
  | 'unlike the data';

/** One batch-norm layer in a check. */
export interface LayerGap {
  /** The layer's path in the model, such as `encoder/bn_1`. */
  layer: string;
  /** The layer's class, `ResBatchNorm` or `BatchNormalization`. */
  className: string;
  /** The larger of the next two; infinite if the moving statistics are not finite. */
  distance: number;
  /** rms((mean − moving_mean)/√(moving_variance + epsilon)) over the channels. */
  meanDistance: number;
  /** rms(½·ln((variance + epsilon)/(moving_variance + epsilon))) over the channels. */
  varianceDistance: number;
  /** Update ops run, if known: the built-in layer's are those of the training in `fit`. */
  updates?: number;
  /** What would explain a distance. */
  cause: PhaseGapCause;
  /** The cause in a sentence, with what was seen and what helps. */
  message: string;
  /**
   * What will be left of the distance at the end of the training: less only if the values from
   * before the updates still make up more than 5 % of the moving statistics.
   */
  expectedDistance: number;
}

/** Above this weight of the values before the updates, moving statistics are young. */
const YOUNG = 0.05;
/** Above this one, those values explain a distance by themselves. */
const TOO_YOUNG = 0.2;
export async function layerGap(
  {layer, paths}: BatchNorm,
  batch: ProbeStatistics,
  updates: Updates,
): Promise<LayerGap> {
  const {epsilon} = layer as Layer & {epsilon: number};
  const [mean, variance] = await Promise.all(
    ['moving_mean', 'moving_variance'].map(name =>
      findWeight(layer, name)!.read().data(),
    ),
  );
  const distances = statisticsDistance(batch, {mean, variance}, epsilon);
  const distance = Math.max(orInfinite(distances.mean), orInfinite(distances.variance));
  const explanation = explain({layer, updates, batch, moving: {mean, variance}, epsilon});
  // More updates with variance 0 do not make it good.
  const part =
    explanation.cause === 'one value a channel' ? 1 : remainingPart(layer, updates);
  return {
    layer: paths[0],
    className: layer.getClassName(),
    distance,
    meanDistance: distances.mean,
    varianceDistance: distances.variance,
    ...(updates.run !== undefined && {updates: updates.run}),
    ...explanation,
    expectedDistance: distance * part,
  };
}

function orInfinite(distance: number): number {
  return Number.isNaN(distance) ? Infinity : distance;
}

/**
 * The weight in the moving statistics of their values before the updates, if known. The average
 * over all batches, `momentum: null`, forgets them at once.
 */
function oldWeight(layer: Layer, {run}: Updates): number | undefined {
  const momentum = momentumOf(layer);
  return run === undefined || momentum === undefined ? undefined : momentum ** run;
}

/** The part of a distance that moving statistics which are young will not outgrow. */
function remainingPart(layer: Layer, updates: Updates): number {
  const weight = oldWeight(layer, updates);
  const isYoung = weight !== undefined && weight > YOUNG;
  return isYoung ? momentumOf(layer)! ** updates.left : 1;
}

type Explanation = Pick<LayerGap, 'cause' | 'message'>;

function explain(observation: Observation): Explanation {
  const {layer, updates, batch, moving} = observation;
  const isInitial =
    moving.mean.every(value => value === 0) &&
    moving.variance.every(value => value === 1);
  if (isResBatchNorm(layer) && layer.updateOpCount > layer.updateCount) {
    return {
      cause: 'collected and not run',
      message:
        `update ops made: ${layer.updateOpCount}, run: ${layer.updateCount}. Run what ` +
        'collectUpdateOps returned, with updateOps.run(), in each step; UpdateOpsCheck ' +
        'finds the step that does not',
    };
  }
  if (isInitial || updates.inTraining === 0) {
    return {
      cause: 'never updated',
      message:
        (isInitial
          ? 'its moving statistics are the initial ones, 0 and 1. '
          : 'no update op ran in this training. ') +
        'Load them along with the other weights, or see with UpdateOpsCheck why training ' +
        'does not update them',
    };
  }
  const ofOneValue = explainByOneValue(observation);
  if (ofOneValue !== undefined) {
    const remedy =
      'Train with larger batches, or freeze the layer: freezeBatchNorm(model) of ' +
      '@resbatchnorm/layer';
    return {cause: 'one value a channel', message: `${ofOneValue}. ${remedy}`};
  }
  if (batch.isOfOneValue) {
    return {
      cause: 'unlike the data',
      message:
        'the batches of this check have one value a channel, of which the variance is 0. ' +
        'Give PhaseGapCheck larger ones: batchSize, that of the training',
    };
  }
  const {run = 0, left} = updates;
  const weight = oldWeight(layer, updates);
  if (run > 0 && weight !== undefined && weight > TOO_YOUNG) {
    return {
      cause: 'momentum too high',
      message:
        `after ${counted(run, 'update')} with momentum ${momentumOf(layer)}, the values before them ` +
        `make up ${(100 * weight).toPrecision(3)} % of its moving statistics. Take more ` +
        `steps, or a momentum of ${roundedDown(YOUNG ** (1 / (run + left)))} or less`,
    };
  }
  return {
    cause: 'unlike the data',
    message:
      'its moving statistics are not those of these data. Look whether they are prepared as ' +
      'in training, and whether the weights still move fast: then a lower momentum or ' +
      'learning rate helps',
  };
}

function roundedDown(value: number): number {
  return Math.floor(value * 100) / 100;
}
