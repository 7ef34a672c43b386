/** How often the layers of a model are updated in a training, and will be by its end. */
import {
  findWeight,
  isResBatchNorm,
  type BatchNorm,
  type Layer,
  type UpdateCounts,
  normFields,
} from '@resbatchnorm/layer/introspection';

/** The updates of one layer. */
export interface Updates {
  /** Those that have run; undefined if it can't be known. */
  run?: number;
  /** Those of them that ran in this training; undefined outside of one. */
  inTraining?: number;
  /** Those that the training is still going to run, at the rate so far; 0 outside of one. */
  left: number;
  /**
   * Of batches with one value a channel: their part of what the updates of this training make
   * up in the moving statistics, from 0 to 1. Undefined where it can't be known: outside of a
   * training, and of the built-in layer.
   */
  oneValuePart?: number;
  /** The moving variance at the beginning of this training; of the built-in layer alone. */
  varianceBefore?: ArrayLike<number>;
}

interface Seen {
  dataId: object | undefined;
  counted: number;
  /** In this training. */
  run: number;
  /** What the batches with one value a channel make up in the moving statistics. */
  oneValueWeight: number;
  varianceBefore?: ArrayLike<number>;
}

/** What is known of a layer by itself: a `ResBatchNorm` counts, the built-in layer does not. */
export function updatesOutsideTraining({layer}: BatchNorm): Updates {
  return {run: isResBatchNorm(layer) ? layer.updateCount : undefined, left: 0};
}

export class UpdateProgress {
  private readonly seen: Map<Layer, Seen>;
  private stepsSinceLook = 0;
  private epochsDone = 0;

  constructor(layers: readonly BatchNorm[]) {
    this.seen = new Map(
      layers.map(({layer}) => [
        layer,
        {
          dataId: dataIdOf(layer),
          counted: countOf(layer),
          run: 0,
          oneValueWeight: 0,
        },
      ]),
    );
  }

  /** To be called when the training begins. Reads the variances of built-in layers back. */
  static async begin(layers: readonly BatchNorm[]): Promise<UpdateProgress> {
    const progress = new UpdateProgress(layers);
    const builtIn = [...progress.seen].filter(([layer]) => !isResBatchNorm(layer));
    await Promise.all(
      builtIn.map(async ([layer, seen]) => {
        seen.varianceBefore = await findWeight(layer, 'moving_variance')?.read().data();
      }),
    );
    return progress;
  }

  /** What a `ResBatchNorm` counts is looked at. */
  stepEnd(): void {
    this.stepsSinceLook += 1;
    for (const [layer, seen] of this.seen) {
      if (!isResBatchNorm(layer)) continue;
      const updates = layer.updateCount - seen.counted;
      if (updates === 0) continue;
      seen.counted = layer.updateCount;
      seen.run += updates;
      const kept = keptWeight(layer, updates);
      const isOne = layer.lastValueCount === 1;
      seen.oneValueWeight = kept * seen.oneValueWeight + (isOne ? 1 - kept : 0);
    }
  }

  /** The built-in layer is looked at, and taken to be updated in all steps or none. */
  epochEnd(): void {
    this.epochsDone += 1;
    for (const [layer, seen] of this.seen) {
      if (isResBatchNorm(layer)) continue;
      const dataId = dataIdOf(layer);
      if (dataId !== seen.dataId) seen.run += this.stepsSinceLook;
      seen.dataId = dataId;
    }
    this.stepsSinceLook = 0;
  }

  /** Whether the layer is one of those that it was made for. */
  knows({layer}: BatchNorm): boolean {
    return this.seen.has(layer);
  }

  updatesOf({layer}: BatchNorm, epochsLeft: number): Updates {
    const {run = 0, oneValueWeight = 0, varianceBefore} = this.seen.get(layer) ?? {};
    const updates = {
      inTraining: run,
      left: this.epochsDone > 0 ? (run / this.epochsDone) * epochsLeft : 0,
    };
    if (!isResBatchNorm(layer)) return {...updates, run, varianceBefore};
    // A layer that counts may have been trained before.
    const ofTraining = 1 - keptWeight(layer, run);
    const oneValuePart = ofTraining === 0 ? 0 : oneValueWeight / ofTraining;
    return {...updates, run: layer.updateCount, oneValuePart};
  }
}

/** The weight of the older value in the moving statistics after the last so many updates. */
function keptWeight(layer: Layer & UpdateCounts, updates: number): number {
  const momentum = momentumOf(layer);
  // The plain average of all batches.
  if (momentum === undefined) return 1 - updates / layer.updateCount;
  return momentum ** updates;
}

/** Undefined of `momentum: null`, the average over all batches, which has none. */
export function momentumOf(layer: Layer): number | undefined {
  return normFields(layer).momentum ?? undefined;
}

function countOf(layer: Layer): number {
  return isResBatchNorm(layer) ? layer.updateCount : 0;
}

/** A write by the built-in layer leaves the tf.Variable the same, with another dataId. */
function dataIdOf(layer: Layer): object | undefined {
  return findWeight(layer, 'moving_mean')?.read().dataId;
}
