/** A batch-norm layer whose statistics are read back from the device. */
import * as tf from '@tensorflow/tfjs-core';

import {findWeight} from '../batch_norm_layers.js';
import type {BatchNormLayer, Layer} from '../batch_norm_layers.js';
import type {Statistics} from '../statistics_distance.js';

/** What this needs of both kinds of layers, and of which their types do not tell. */
type NormLayer = Layer & {readonly epsilon: number; readonly momentum?: number};

/** The part of `ResBatchNorm` that tells the statistics of a batch. */
interface Observable {
  observeNextUpdate(
    observer: (batch: {mean: tf.Tensor1D; variance: tf.Tensor1D}) => void,
  ): () => void;
}

export interface WatchedLayer {
  layer: NormLayer;
  /** Of all tags of the layer: `bn_1` for `bn_1/moving_mean`. */
  label: string;
}

/**
 * The layers that are built, each with a label of its own. It is what its weights' names begin
 * with; the layer's path, where layers of the model have that in common.
 */
export function watchedLayers(found: readonly BatchNormLayer[]): WatchedLayer[] {
  const built = found.filter(({layer}) => findWeight(layer, 'moving_mean'));
  const scopes = built.map(({layer}) => scopeOf(layer));
  const taken = new Set<string>();
  return built.map(({layer, path}, i) => {
    const isUnique = scopes[i] !== '' && scopes.filter(s => s === scopes[i]).length === 1;
    const wanted = isUnique ? scopes[i] : path;
    let label = wanted;
    for (let n = 1; taken.has(label); n++) label = `${wanted}_${n}`;
    taken.add(label);
    return {layer: layer as NormLayer, label};
  });
}

/** `bn_1` of a weight that is named `bn_1/moving_mean`. */
function scopeOf(layer: Layer): string {
  const {originalName} = findWeight(layer, 'moving_mean')!;
  return originalName.slice(0, -'/moving_mean'.length);
}

/** The moving statistics of the layers, all in one read-back. */
export async function readMovingStatistics(
  layers: readonly WatchedLayer[],
): Promise<Statistics[]> {
  const weights = layers.flatMap(({layer}) => statisticsOf(layer));
  if (weights.length === 0) return [];
  const joined = tf.tidy(() => tf.concat1d(weights));
  try {
    const values = await joined.data();
    let end = 0;
    const parts = weights.map(({size}) => values.slice(end, (end += size)));
    return layers.map((_, i) => ({mean: parts[2 * i], variance: parts[2 * i + 1]}));
  } finally {
    joined.dispose();
  }
}

/** A write gives a weight another one, so they tell whether the layer was updated. */
export function dataIdOf({layer}: WatchedLayer): object {
  return statisticsOf(layer)[0].dataId;
}

function statisticsOf(layer: Layer): [mean: tf.Tensor1D, variance: tf.Tensor1D] {
  const read = (name: string) => findWeight(layer, name)!.read() as tf.Tensor1D;
  return [read('moving_mean'), read('moving_variance')];
}

/**
 * Waits for the next update of a `ResBatchNorm`, and reads the statistics of its batch. The
 * read-back starts in the update, so that no tensor has to be kept.
 */
export class BatchObservation {
  private batch?: Promise<Statistics>;
  private readonly stop: () => void;

  constructor(layer: Observable) {
    this.stop = layer.observeNextUpdate(({mean, variance}) => {
      this.batch = Promise.all([readCopy(mean), readCopy(variance)]).then(
        ([mean, variance]) => ({mean, variance}),
      );
      // It is awaited at the end of the step, which a training that fails never reaches.
      this.batch.catch(() => {});
    });
  }

  /** Stops to wait. */
  cancel(): void {
    this.stop();
  }

  /** Undefined if there was no update. */
  finish(): Promise<Statistics | undefined> {
    this.stop();
    return this.batch ?? Promise.resolve(undefined);
  }
}

export function isObservable(layer: object): layer is Observable {
  return typeof (layer as Partial<Observable>).observeNextUpdate === 'function';
}

async function readCopy(tensor: tf.Tensor1D): Promise<ArrayLike<number>> {
  const copy = tf.keep(tf.clone(tensor));
  try {
    return await copy.data();
  } finally {
    copy.dispose();
  }
}
