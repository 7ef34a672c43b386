/** What is to be known of one training step: the layers' statistics before, in and after it. */
import {histogramOf} from './histogram.js';
import {batchFromChange, statisticsDistance} from '../statistics_distance.js';
import type {Statistics} from '../statistics_distance.js';
import type {Summary} from './summary.js';
import {
  BatchObservation,
  dataIdOf,
  isObservable,
  readMovingStatistics,
} from './watched_layer.js';
import type {WatchedLayer} from './watched_layer.js';

export type SummaryValues = Pick<Summary, 'scalars' | 'histograms'>;

interface LayerBefore {
  watched: WatchedLayer;
  moving: Statistics;
  dataId: object;
  observation?: BatchObservation;
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
        ...(isObservable(watched.layer) && {
          observation: new BatchObservation(watched.layer),
        }),
      })),
    );
  }

  /** To be called in the place of `finish` if the step does not end, as when a training fails. */
  cancel(): void {
    for (const {observation} of this.layers) observation?.cancel();
  }

  /** To be called after the step. */
  async finish(): Promise<SummaryValues> {
    const [after, batches] = await Promise.all([
      readMovingStatistics(this.layers.map(({watched}) => watched)),
      Promise.all(this.layers.map(({observation}) => observation?.finish())),
    ]);
    const values = this.layers.map(({watched}, i) => layerValues(watched, after[i]));
    const distances = this.layers.map((before, i) => {
      const batch = before.observation ? batches[i] : changeOf(before, after[i]);
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
