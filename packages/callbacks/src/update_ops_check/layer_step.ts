/** Tells what a step did to a batch norm, from before and after it, with no read-back. */
import {
  findWeight,
  frozenHolder,
  isResBatchNorm,
  isTrained,
  type BatchNorm,
} from '@resbatchnorm/layer/introspection';
import type * as tfl from '@tensorflow/tfjs-layers';

import {
  collectedAndNotRun,
  frozenButTrained,
  frozenButUpdated,
  frozenInTheStep,
  neverCalled,
  thawedAfterCompile,
  thawedInFrozen,
  trainedInInferenceMode,
  type Finding,
} from './violations.js';

/** The weights of a batch norm, as far as it is built and has them. */
export interface NormWeights {
  /** Moving mean and moving variance. */
  statistics: tfl.LayerVariable[];
  /** Gamma and beta. */
  affine: tfl.LayerVariable[];
}

export function weightsOf({layer}: BatchNorm): NormWeights {
  const named = (...names: string[]) =>
    names.flatMap(name => findWeight(layer, name) ?? []);
  return {
    statistics: named('moving_mean', 'moving_variance'),
    affine: named('gamma', 'beta'),
  };
}

/** A batch norm as it is at one moment. */
export interface LayerSnapshot {
  isTrained: boolean;
  /** Identities of the values: a write leaves the tf.Variable the same, with another dataId. */
  statistics: object[];
  affine: object[];
  /** Update ops made and run; 0 of the built-in layer, which does not count them. */
  made: number;
  run: number;
}

export function takeSnapshot(norm: BatchNorm, weights: NormWeights): LayerSnapshot {
  const {layer} = norm;
  const identities = (of: tfl.LayerVariable[]) => of.map(weight => weight.read().dataId);
  const counts = isResBatchNorm(layer);
  return {
    isTrained: isTrained(norm),
    statistics: identities(weights.statistics),
    affine: identities(weights.affine),
    made: counts ? layer.updateOpCount : 0,
    run: counts ? layer.updateCount : 0,
  };
}

/** What happened to a layer in a step. */
export interface LayerStep {
  norm: BatchNorm;
  weights: NormWeights;
  before: LayerSnapshot;
  after: LayerSnapshot;
  /** The model whose `fit` made the step; undefined in a loop of the user's own. */
  fitted?: tfl.LayersModel;
}

/**
 * Update ops run in the step. The built-in layer counts none: one, if it wrote its statistics.
 */
export function updatesIn({norm, before, after}: LayerStep): number {
  // The statistics of a ResBatchNorm may also have been written by something else, such as
  // setWeights; and a batch that it skips need not write them.
  if (isResBatchNorm(norm.layer)) return after.run - before.run;
  return Number(after.statistics.some((dataId, i) => dataId !== before.statistics[i]));
}

/** What is wrong with the step. */
export function findingsIn(step: LayerStep): Finding[] {
  return step.before.isTrained ? findingsOfTrained(step) : findingsOfFrozen(step);
}

function findingsOfFrozen({norm: {layer}, before, after}: LayerStep): Finding[] {
  // A layer that was built in the step had its weights written by that.
  const isUpdated = writtenOf(before.statistics, after.statistics) > 0;
  const isAffineTrained = writtenOf(before.affine, after.affine) > 0;
  return [
    ...(isUpdated ? [frozenButUpdated(layer)] : []),
    ...(isAffineTrained ? [frozenButTrained(layer)] : []),
  ];
}

function findingsOfTrained(step: LayerStep): Finding[] {
  const {norm, before, after} = step;
  const made = after.made - before.made;
  const run = after.run - before.run;
  if (made > run) return [collectedAndNotRun(made, run)];
  const isUpdated = isResBatchNorm(norm.layer)
    ? run > 0
    : after.statistics.length > 0 &&
      after.statistics.every((dataId, i) => dataId !== before.statistics[i]);
  if (isUpdated) return findingsOfUpdated(step);
  if (!after.isTrained) return [frozenInTheStep()];
  const isAffineTrained = writtenOf(before.affine, after.affine) > 0;
  return [isAffineTrained ? trainedInInferenceMode() : neverCalled()];
}

/** Gamma and beta are to be trained along with the moving statistics. */
function findingsOfUpdated({norm, weights, before, after, fitted}: LayerStep): Finding[] {
  if (writtenOf(before.affine, after.affine) > 0) return [];
  const holder = frozenHolder(norm);
  if (holder !== undefined) return [thawedInFrozen(holder)];
  const isThawed = fitted && weights.affine.some(weight => isThawedIn(fitted, weight));
  return isThawed ? [thawedAfterCompile()] : [];
}

/** Whether `fit` leaves a weight out, because it was frozen when the model was compiled. */
function isThawedIn(fitted: tfl.LayersModel, weight: tfl.LayerVariable): boolean {
  const {collectedTrainableWeights} = fitted as unknown as {
    collectedTrainableWeights: tfl.LayerVariable[];
  };
  // A layer of the user's own may keep the weight to itself: then it is never trained by fit.
  return (
    !collectedTrainableWeights.includes(weight) &&
    fitted.trainableWeights.includes(weight)
  );
}

/** How many values are others than before; those that were not there before don't count. */
function writtenOf(before: readonly object[], after: readonly object[]): number {
  return before.filter((dataId, i) => dataId !== after[i]).length;
}
