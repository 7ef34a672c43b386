/** What is to be known of one training step: the layers' statistics before, in and after it. */
import {
  findWeight,
  onBatchStatistics,
  type BatchNorm,
  type Layer,
} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';

import {
  batchFromChange,
  statisticsDistance,
  type Statistics,
} from '../statistics_distance.js';
import {histogramOf, type Summary} from './summary.js';

/** What this needs of both kinds of layers, and of which their types do not tell. */
type NormLayer = Layer & {readonly epsilon: number; readonly momentum?: number};

export interface WatchedLayer {
  layer: NormLayer;
  /** Of all tags of the layer: `bn_1` for `bn_1/moving_mean`. */
  label: string;
}

/**
 * The layers that are built, each with a label of its own. It is what its weights' names begin
 * with; the layer's path, where layers of the model have that in common.
 */
export function watchedLayers(norms: readonly BatchNorm[]): WatchedLayer[] {
  const built = norms.filter(({layer}) => findWeight(layer, 'moving_mean'));
  const scopes = built.map(({layer}) => scopeOf(layer));
  const taken = new Set<string>();
  return built.map(({layer, paths}, i) => {
    const isUnique = scopes[i] !== '' && scopes.filter(s => s === scopes[i]).length === 1;
    const wanted = isUnique ? scopes[i] : paths[0];
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
async function readMovingStatistics(
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

/** A write of the built-in layer gives the weight another one, so it tells of an update. */
function dataIdOf({layer}: WatchedLayer): object {
  return statisticsOf(layer)[0].dataId;
}

function statisticsOf(layer: Layer): [mean: tf.Tensor1D, variance: tf.Tensor1D] {
  const read = (name: string) => findWeight(layer, name)!.read() as tf.Tensor1D;
  return [read('moving_mean'), read('moving_variance')];
}

/**
 * Waits for the next batch that a `ResBatchNorm` is trained with, and reads its statistics. The
 * read-back starts in the call, so that no tensor has to be kept.
 */
class BatchObservation {
  private batch?: Promise<Statistics>;
  private readonly stop: (() => void) | null;

  constructor(layer: Layer) {
    this.stop = onBatchStatistics(layer, ({mean, followedVariance}) => {
      if (this.batch !== undefined) return;
      this.batch = Promise.all([readCopy(mean), readCopy(followedVariance)]).then(
        ([mean, variance]) => ({mean, variance}),
      );
      // It is awaited at the end of the step, which a training that fails never reaches.
      this.batch.catch(() => {});
    });
  }

  /** Whether the layer tells its batches; the built-in one does not. */
  get isTold(): boolean {
    return this.stop !== null;
  }

  /** Stops waiting. */
  cancel(): void {
    this.stop?.();
  }

  /** Undefined if there was no batch. */
  finish(): Promise<Statistics | undefined> {
    this.cancel();
    return this.batch ?? Promise.resolve(undefined);
  }
}

async function readCopy(tensor: tf.Tensor1D): Promise<ArrayLike<number>> {
  const copy = tf.keep(tf.clone(tensor));
  try {
    return await copy.data();
  } finally {
    copy.dispose();
  }
}

export type SummaryValues = Pick<Summary, 'scalars' | 'histograms'>;

interface LayerBefore {
  watched: WatchedLayer;
  moving: Statistics;
  dataId: object;
  observation: BatchObservation;
}

export class StepObservation {
  private constructor(private readonly layers: readonly LayerBefore[]) {}

  /** To be called before the step. */
  static async begin(layers: readonly WatchedLayer[]): Promise<StepObservation> {
    const statistics = await readMovingStatistics(layers);
    return new StepObservation(
      layers.map((watched, i) => ({
        watched,
        moving: statistics[i],
        dataId: dataIdOf(watched),
        observation: new BatchObservation(watched.layer),
      })),
    );
  }

  /** To be called instead of `finish` if the step does not end, as when a training fails. */
  cancel(): void {
    for (const {observation} of this.layers) observation.cancel();
  }

  /** To be called after the step. */
  async finish(): Promise<SummaryValues> {
    const [after, batches] = await Promise.all([
      readMovingStatistics(this.layers.map(({watched}) => watched)),
      Promise.all(this.layers.map(({observation}) => observation.finish())),
    ]);
    const values = this.layers.map(({watched}, i) => layerValues(watched, after[i]));
    const distances = this.layers.map((before, i) => {
      const {isTold} = before.observation;
      const batch = isTold ? batches[i] : changeOf(before, after[i]);
      return batch ? distanceScalars(before, batch) : {};
    });
    return merge([...values, ...distances.map(scalars => ({scalars, histograms: {}}))]);
  }
}

/** Histograms of the moving statistics as they are now. */
export async function observeNow(
  layers: readonly WatchedLayer[],
): Promise<SummaryValues> {
  const statistics = await readMovingStatistics(layers);
  return merge(layers.map((watched, i) => layerValues(watched, statistics[i])));
}

/** The built-in layer does not tell the statistics of a batch. */
function changeOf(before: LayerBefore, after: Statistics): Statistics | undefined {
  const {momentum} = before.watched.layer;
  const isUpdated = before.dataId !== dataIdOf(before.watched);
  if (!isUpdated || momentum === undefined) return undefined;
  return batchFromChange(before.moving, after, momentum);
}

function distanceScalars(
  {watched: {layer, label}, moving}: LayerBefore,
  batch: Statistics,
): Record<string, number> {
  const {mean, variance} = statisticsDistance(batch, moving, layer.epsilon);
  return {[`${label}/mean_distance`]: mean, [`${label}/variance_distance`]: variance};
}

function layerValues({label}: WatchedLayer, {mean, variance}: Statistics): SummaryValues {
  const values: SummaryValues = {scalars: {}, histograms: {}};
  for (const [name, numbers] of Object.entries({
    moving_mean: mean,
    moving_variance: variance,
  })) {
    const tag = `${label}/${name}`;
    values.histograms[tag] = histogramOf(numbers);
    // A histogram cannot hold them.
    const nonFinite = Array.from(numbers).filter(value => !Number.isFinite(value)).length;
    if (nonFinite > 0) values.scalars[`${tag}_non_finite`] = nonFinite;
  }
  return values;
}

function merge(parts: SummaryValues[]): SummaryValues {
  return {
    scalars: Object.assign({}, ...parts.map(({scalars}) => scalars)),
    histograms: Object.assign({}, ...parts.map(({histograms}) => histograms)),
  };
}
