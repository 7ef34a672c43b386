/** Tells what a step did to a batch norm, from before and after it, with no read-back. */
import {
  findWeight,
  frozenHolder,
  isResBatchNorm,
  isTrained,
  type BatchNorm,
  type Layer,
} from '@resbatchnorm/layer/introspection';
import type * as tfl from '@tensorflow/tfjs-layers';

import {
  collectedAndNotRun,
  frozenButTrained,
  frozenButUpdated,
  frozenInTheStep,
  neverCalled,
  oneValueAChannel,
  thawedAfterCompile,
  thawedInFrozen,
  trainedInFrozen,
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
  /** Values a channel in the last training call; null where not known. */
  valueCount: number | null;
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
    valueCount: counts ? layer.lastValueCount : null,
  };
}

/** What happened to a layer in a step. */
export interface LayerStep {
  norm: BatchNorm;
  weights: NormWeights;
  before: LayerSnapshot;
  after: LayerSnapshot;
  /** Whether the layer was called in training mode in an earlier step. */
  wasCalled: boolean;
  /** Whether the user said that it need not be called in each step. */
  mayBeSkipped: boolean;
  /** What `fit` and `fitDataset` know; undefined in a loop of the user's own. */
  inFit?: StepInFit;
}

export interface StepInFit {
  model: tfl.LayersModel;
  /** Whether it is known to be the last of several steps of an epoch. */
  isLastOfEpoch: boolean;
}

/**
 * Update ops run in the step. The built-in layer counts none: one, if it wrote its statistics.
 */
export function updatesIn({norm, before, after}: LayerStep): number {
  // The statistics of a ResBatchNorm may also have been written by something else, such as
  // setWeights; and a batch that it skips need not write them.
  if (isResBatchNorm(norm.layer)) return after.run - before.run;
  return Number(hasBuiltInUpdated(before, after));
}

function hasBuiltInUpdated(before: LayerSnapshot, after: LayerSnapshot): boolean {
  return (
    after.statistics.length > 0 &&
    after.statistics.every((dataId, i) => dataId !== before.statistics[i])
  );
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
    : hasBuiltInUpdated(before, after);
  if (isUpdated) return findingsOfUpdated(step);
  if (!after.isTrained) return [frozenInTheStep()];
  // A regularizer trains what is not called, too.
  const isAffineTrained =
    writtenOf(before.affine, after.affine) > 0 && !isRegularized(norm.layer);
  if (step.mayBeSkipped && !isAffineTrained) return [];
  return [
    isAffineTrained
      ? trainedInInferenceMode()
      : neverCalled(norm.paths[0], step.wasCalled),
  ];
}

function isRegularized(layer: Layer): boolean {
  const {gammaRegularizer, betaRegularizer} = layer.getConfig();
  return gammaRegularizer != null || betaRegularizer != null;
}

function findingsOfUpdated(step: LayerStep): Finding[] {
  return [...findingsOfValueCount(step), ...findingsOfTrainable(step)];
}

/** With one value a channel there is nothing to normalize by. */
function findingsOfValueCount({norm, before, after, inFit}: LayerStep): Finding[] {
  if (after.valueCount !== 1) return [];
  const isRest =
    before.valueCount === null ? inFit?.isLastOfEpoch : before.valueCount > 1;
  return [oneValueAChannel(norm.layer, isRest ?? false)];
}

/** Gamma and beta are to be trained along with the moving statistics, in what is not frozen. */
function findingsOfTrainable(step: LayerStep): Finding[] {
  const {norm, weights, before, after, inFit} = step;
  const trained = weights.affine.filter((_, i) =>
    isWritten(i, before.affine, after.affine),
  );
  if (trained.length === 0 && weights.affine.length > 0) {
    const holder = frozenHolder(norm);
    if (holder !== undefined) return [thawedInFrozen(holder)];
    const isThawed = weights.affine.some(weight => isThawedIn(inFit?.model, weight));
    if (isThawed) return [thawedAfterCompile()];
  }
  // What is around the built-in layer does not freeze it in its other uses.
  if (!isResBatchNorm(norm.layer)) return [];
  const holder = norm.holders.flat().find(({trainable}) => !trainable);
  if (holder === undefined) return [];
  const names = ['gamma', 'beta'].filter(name =>
    trained.includes(findWeight(norm.layer, name)!),
  );
  return [trainedInFrozen(holder, names)];
}

/** Whether `fit` leaves a weight out, because it was frozen when the model was compiled. */
function isThawedIn(
  fitted: tfl.LayersModel | undefined,
  weight: tfl.LayerVariable,
): boolean {
  if (fitted === undefined) return false;
  const {collectedTrainableWeights} = fitted as unknown as {
    collectedTrainableWeights: tfl.LayerVariable[];
  };
  // A layer of the user's own may keep the weight to itself: then it is never trained by fit.
  return (
    !collectedTrainableWeights.includes(weight) &&
    fitted.trainableWeights.includes(weight)
  );
}

/** How many values are others than before. */
function writtenOf(before: readonly object[], after: readonly object[]): number {
  return before.filter((_, i) => isWritten(i, before, after)).length;
}

/** Whether a value is another than before; one that was not there before is not. */
function isWritten(
  i: number,
  before: readonly object[],
  after: readonly object[],
): boolean {
  return i < before.length && before[i] !== after[i];
}
