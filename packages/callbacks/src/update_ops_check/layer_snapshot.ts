/** Tells what a step did to a batch-norm layer, from before and after, with no read-back. */
import {findWeight, isFrozen, updateCounts} from '../batch_norm_layers.js';
import type {BatchNormLayer} from '../batch_norm_layers.js';
import {
  collectedAndNotRun,
  frozenButUpdated,
  frozenInTheStep,
  neverCalled,
} from './violations.js';
import type {Finding} from './violations.js';

/** A batch-norm layer as it is at one moment. */
export interface LayerSnapshot {
  frozen: boolean;
  /** Identities of the values of moving mean and moving variance; empty if not built. */
  dataIds: object[];
  made: number;
  run: number;
}

/** What happened to a layer from one snapshot to the next. */
export interface LayerStep {
  /** Update ops run. The built-in layer counts none: one, if its statistics were written. */
  updates: number;
  finding?: Finding;
}

export function takeSnapshot(found: BatchNormLayer): LayerSnapshot {
  const statistics = ['moving_mean', 'moving_variance'].flatMap(
    name => findWeight(found.layer, name) ?? [],
  );
  const counts = updateCounts(found.layer);
  return {
    frozen: isFrozen(found),
    // A write leaves the tf.Variable the same and gives it another dataId.
    dataIds: statistics.map(weight => weight.read().dataId),
    made: counts?.updateOpCount ?? 0,
    run: counts?.updateCount ?? 0,
  };
}

export function compareSnapshots(
  {layer}: BatchNormLayer,
  before: LayerSnapshot,
  after: LayerSnapshot,
): LayerStep {
  const written = after.dataIds.filter(
    (dataId, i) => dataId !== before.dataIds[i],
  ).length;
  const made = after.made - before.made;
  const run = after.run - before.run;
  const counts = updateCounts(layer) !== undefined;
  // Its statistics may also have been written by something else, such as setWeights.
  const updates = counts ? run : Number(written > 0);
  if (before.frozen) {
    // A layer that was built in the step had its statistics written by that.
    const isNew = before.dataIds.length === 0;
    return {
      updates,
      finding: written > 0 && !isNew ? frozenButUpdated(layer) : undefined,
    };
  }
  if (made > run) return {updates, finding: collectedAndNotRun(made, run)};
  const allWritten = written > 0 && written === after.dataIds.length;
  if (updates > 0 && allWritten) return {updates};
  return {updates, finding: after.frozen ? frozenInTheStep() : neverCalled()};
}
