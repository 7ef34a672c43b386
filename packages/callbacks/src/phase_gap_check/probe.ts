/** Runs a model on the same batches in both modes, and leaves no trace on it. */
import {
  isTrained,
  withBatchStatistics,
  type BatchNorm,
  type Layer,
} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import type {Statistics} from '../statistics_distance.js';
import {
  probeBatches,
  type ProbeBatch,
  type ProbeData,
  type ProbeSize,
} from './probe_data.js';

/** The loss and each metric, by the names that `fit` gives them. */
export type LossAndMetrics = Record<string, number>;

export interface ProbeResult {
  examples: number;
  training: LossAndMetrics;
  inference: LossAndMetrics;
  /** Of the layers that were in training mode, and called. */
  statistics: Map<BatchNorm, ProbeStatistics>;
}

/** The means over the batches of what the moving statistics of a layer follow. */
export interface ProbeStatistics extends Statistics {
  mean: number[];
  variance: number[];
  /** Whether all batches had one value a channel, of which the variance is 0. */
  isOfOneValue: boolean;
}

interface LayerMeans {
  mean: WeightedMean;
  variance: WeightedMean;
  isOfOneValue: boolean;
}

/** @throws ValueError if the data are wrong. */
export async function probe(
  where: string,
  model: tfl.LayersModel,
  norms: readonly BatchNorm[],
  data: ProbeData,
  size: ProbeSize,
): Promise<ProbeResult> {
  const trained = norms.filter(isTrained);
  const means = new ProbeMeans(trained.map(({layer}) => layer));
  try {
    let examples = 0;
    for await (const batch of probeBatches(where, data, size)) {
      examples += batch.size;
      means.add(model, batch);
    }
    const [training, inference, ...statistics] = await Promise.all([
      means.training.read(),
      means.inference.read(),
      ...trained.map(({layer}) => means.readStatistics(layer)),
    ]);
    return {
      examples,
      training: byName(model, training!),
      inference: byName(model, inference!),
      statistics: new Map(
        trained.flatMap((norm, i) => {
          const values = statistics[i];
          return values ? [[norm, values]] : [];
        }),
      ),
    };
  } finally {
    means.dispose();
  }
}

/** Means over all examples, of what was probed so far. */
class ProbeMeans {
  readonly training = new WeightedMean();
  readonly inference = new WeightedMean();
  private readonly statistics: Map<Layer, LayerMeans>;

  constructor(private readonly layers: readonly Layer[]) {
    this.statistics = new Map(
      layers.map(layer => [
        layer,
        {mean: new WeightedMean(), variance: new WeightedMean(), isOfOneValue: true},
      ]),
    );
  }

  add(model: tfl.LayersModel, batch: ProbeBatch): void {
    tf.tidy(() => {
      this.inference.add(evaluate(model, batch), batch.size);
      const training = withBatchStatistics(
        this.layers,
        (layer, {mean, followedVariance, count}) => {
          const means = this.statistics.get(layer)!;
          means.mean.add(mean, batch.size);
          means.variance.add(followedVariance, batch.size);
          if (count !== 1) means.isOfOneValue = false;
        },
        () => evaluate(model, batch),
      );
      this.training.add(training, batch.size);
    });
  }

  async readStatistics(layer: Layer): Promise<ProbeStatistics | undefined> {
    const {mean, variance, isOfOneValue} = this.statistics.get(layer)!;
    const values = await Promise.all([mean.read(), variance.read()]);
    return values[0] && values[1] && {mean: values[0], variance: values[1], isOfOneValue};
  }

  dispose(): void {
    const ofLayers = [...this.statistics.values()];
    const all = ofLayers.flatMap(({mean, variance}) => [mean, variance]);
    [this.training, this.inference, ...all].forEach(mean => mean.dispose());
  }
}

/** The weighted mean of tensors of one shape, kept on the device until it is read. */
class WeightedMean {
  private sum: tf.Tensor | null = null;
  private weight = 0;

  /** May be called inside of any tidy. */
  add(tensor: tf.Tensor, weight: number): void {
    const previous = this.sum;
    this.sum = tf.tidy(() => {
      const term = tf.mul(tensor, weight);
      return tf.keep(previous === null ? term : tf.add(previous, term));
    });
    previous?.dispose();
    this.weight += weight;
  }

  /** Undefined if nothing was added. */
  async read(): Promise<number[] | undefined> {
    const values = await this.sum?.data();
    return values && Array.from(values, value => value / this.weight);
  }

  dispose(): void {
    this.sum?.dispose();
    this.sum = null;
  }
}

/** The model's own loss and metrics on a batch, [loss, …metrics], in inference mode. */
function evaluate(model: tfl.LayersModel, {xs, ys, size}: ProbeBatch): tf.Tensor {
  // Its type does not say that it takes tensors by name, too.
  const result = model.evaluate(xs as tf.Tensor, ys as tf.Tensor, {batchSize: size});
  return tf.stack([result].flat());
}

/**
 * `evaluate` of tfjs 4.22 gives a model with several outputs the running sums of the outputs'
 * losses, and does without the total in front that the names begin with.
 */
function byName(model: tfl.LayersModel, values: number[]): LossAndMetrics {
  const names = model.metricsNames;
  const outputs = model.outputs.length;
  const sums = values.slice(0, outputs);
  const complete =
    values.length === names.length
      ? values
      : [
          sums[outputs - 1],
          ...sums.map((sum, i) => sum - (sums[i - 1] ?? 0)),
          ...values.slice(outputs),
        ];
  return Object.fromEntries(names.map((name, i) => [name, complete[i]]));
}
