/** How often the layers of a model are updated in a training, and will be by its end. */
import {
  findWeight,
  isResBatchNorm,
  type BatchNorm,
  type Layer,
} from '@resbatchnorm/layer/introspection';

/** The updates of one layer. */
export interface Updates {
  /** Those that have run; undefined if it can't be known. */
  run?: number;
  /** Those of them that ran in this training; undefined outside of one. */
  inTraining?: number;
  /** Those that the training is still going to run, at the rate so far; 0 outside of one. */
  left: number;
}

interface Seen {
  dataId: object | undefined;
  counted: number;
  /** In this training. */
  run: number;
}

/** What is known of a layer by itself: a `ResBatchNorm` counts, the built-in layer does not. */
export function updatesOutsideTraining({layer}: BatchNorm): Updates {
  return {run: isResBatchNorm(layer) ? layer.updateCount : undefined, left: 0};
}

/** To be made when the training begins. */
export class UpdateProgress {
  private readonly seen: Map<Layer, Seen>;
  private stepsSinceLook = 0;
  private epochsDone = 0;

  constructor(layers: readonly BatchNorm[]) {
    this.seen = new Map(
      layers.map(({layer}) => [
        layer,
        {dataId: dataIdOf(layer), counted: countOf(layer), run: 0},
      ]),
    );
  }

  stepEnd(): void {
    this.stepsSinceLook += 1;
  }

  /** Looks at the layers. The built-in layer is taken to be updated in all steps or none. */
  epochEnd(): void {
    this.epochsDone += 1;
    for (const [layer, seen] of this.seen) {
      const dataId = dataIdOf(layer);
      const counted = countOf(layer);
      const isWritten = dataId !== seen.dataId;
      seen.run += isResBatchNorm(layer)
        ? counted - seen.counted
        : Number(isWritten) * this.stepsSinceLook;
      seen.dataId = dataId;
      seen.counted = counted;
    }
    this.stepsSinceLook = 0;
  }

  /** Whether the layer is one of those that it was made for. */
  knows({layer}: BatchNorm): boolean {
    return this.seen.has(layer);
  }

  updatesOf({layer}: BatchNorm, epochsLeft: number): Updates {
    const {run = 0} = this.seen.get(layer) ?? {};
    return {
      // A layer that counts may have been trained before.
      run: isResBatchNorm(layer) ? layer.updateCount : run,
      inTraining: run,
      left: this.epochsDone > 0 ? (run / this.epochsDone) * epochsLeft : 0,
    };
  }
}

function countOf(layer: Layer): number {
  return isResBatchNorm(layer) ? layer.updateCount : 0;
}

/** A write by the built-in layer leaves the tf.Variable the same, with another dataId. */
function dataIdOf(layer: Layer): object | undefined {
  return findWeight(layer, 'moving_mean')?.read().dataId;
}
