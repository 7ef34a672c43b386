/**
 * `model.fitDataset` on several replicas. It runs as it is, on whole batches; what is replaced
 * is its training step: each replica makes that of its part, and their losses are averaged.
 */
import {batchNorms, findWeight, isResBatchNorm} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';
import type {Dataset} from '@tensorflow/tfjs-data';
import * as tfl from '@tensorflow/tfjs-layers';

import {batchPart, takePart} from './batch_part.js';
import {
  broadcastNumber,
  broadcastOptimizer,
  broadcastWeights,
  checkEqual,
  checksum,
} from './model_state.js';
import type {Replicas} from './replicas.js';

/** From the inputs and the targets to the loss and the metrics. */
type TrainFunction = (data: tf.Tensor[]) => tf.Scalar[];

/** What of a model is used that its type does not tell. */
type Model = tfl.LayersModel & {
  optimizer: tf.Optimizer;
  stopTraining: boolean;
  makeTrainFunction(): TrainFunction;
};

export async function fitOnReplicas<T extends tf.TensorContainer>(
  replicas: Replicas,
  model: tfl.LayersModel,
  dataset: Dataset<T>,
  args: tfl.ModelFitDatasetArgs<T>,
): Promise<tfl.History> {
  const inner = trainedModel(model);
  if (inner.optimizer == null) {
    throw new Error('replicas.fitDataset: the model must be compiled first.');
  }
  replicas.optimizer(inner.optimizer);
  broadcastWeights(replicas, inner);
  await broadcastOptimizer(replicas, inner.optimizer);
  const initialEpoch = broadcastNumber(replicas, 'initialEpoch', args.initialEpoch ?? 0);
  const steps = new JoinedSteps(replicas);
  const {makeTrainFunction} = inner;
  inner.makeTrainFunction = () => steps.trainFunction(makeTrainFunction.call(inner));
  try {
    return await model.fitDataset(dataset, {
      ...args,
      initialEpoch,
      ...(!replicas.isChief && {verbose: 0}),
      callbacks: [
        new tfl.CustomCallback({
          onEpochBegin: async () => steps.beginEpoch(),
          onEpochEnd: async () => averageMovingStatistics(replicas, inner),
        }),
        ...callbacksOf(args).filter(
          callback => replicas.isChief || !isOnChiefOnly(callback),
        ),
        // Behind all others, which may have stopped the training.
        new tfl.CustomCallback({
          onBatchEnd: async () => agreeOnStop(replicas, inner),
          onEpochEnd: async () => agreeOnStop(replicas, inner),
        }),
      ] as tfl.ModelFitDatasetArgs<T>['callbacks'],
    });
  } finally {
    inner.makeTrainFunction = makeTrainFunction;
  }
}

/** A Sequential is trained by the model that it has inside. */
function trainedModel(model: tfl.LayersModel): Model {
  const {model: inside} = model as unknown as {model?: tfl.LayersModel};
  return (model instanceof tfl.Sequential && inside ? inside : model) as Model;
}

/** The training steps of one call of fitDataset. */
class JoinedSteps {
  private isFirstOfEpoch = true;

  constructor(private readonly replicas: Replicas) {}

  beginEpoch(): void {
    this.isFirstOfEpoch = true;
  }

  trainFunction(train: TrainFunction): TrainFunction {
    return data => {
      const {replicas} = this;
      this.checkData(data);
      const [{shape}] = data;
      const part = batchPart(shape[0], replicas.rank, replicas.size);
      const own = takePart(data, part);
      try {
        const results = replicas.step(part.count, () => train(own));
        return averaged(replicas, results, part.count);
      } finally {
        tf.dispose(own);
      }
    };
  }

  private checkData(data: tf.Tensor[]): void {
    if (!this.isFirstOfEpoch) return;
    this.isFirstOfEpoch = false;
    checkEqual(
      this.replicas,
      'the first batch of an epoch (does the data shuffle without a seed?)',
      checksum(data.map(tensor => tensor.dataSync())),
    );
  }
}

/** The mean loss and metrics of all examples. */
function averaged(replicas: Replicas, results: tf.Scalar[], count: number): tf.Scalar[] {
  const values = results.map(result => (count > 0 ? result.dataSync()[0] : 0));
  tf.dispose(results);
  const rows = replicas.gather('loss and metrics', Float64Array.of(count, ...values));
  const total = rows.reduce((sum, [examples]) => sum + examples, 0);
  return values.map((_, i) => {
    const sum = rows.reduce((sum, row) => sum + row[0] * row[1 + i], 0);
    return tf.scalar(sum / total);
  });
}

/** One that stops, stops all: otherwise the others would wait for it. */
function agreeOnStop(replicas: Replicas, model: Model): void {
  const stops = replicas.gather(
    'whether to go on',
    Float64Array.of(Number(model.stopTraining)),
  );
  if (stops.some(([stop]) => stop !== 0)) model.stopTraining = true;
}

/**
 * Those of norms that have gone ways of their own: as Keras does with what is not synchronized.
 */
function averageMovingStatistics(replicas: Replicas, model: Model): void {
  for (const {layer} of batchNorms(model)) {
    if (isResBatchNorm(layer) && layer.getConfig().synchronized) continue;
    for (const name of ['moving_mean', 'moving_variance']) {
      const weight = findWeight(layer, name);
      if (weight === undefined) continue;
      const rows = replicas.gather(
        `${name} of ${layer.name}`,
        Float64Array.from(weight.read().dataSync()),
      );
      const mean = rows[0].map(
        (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length,
      );
      const value = tf.tensor1d(Float32Array.from(mean));
      weight.write(value);
      value.dispose();
    }
  }
}

function callbacksOf({
  callbacks = [],
  yieldEvery,
}: Pick<tfl.ModelFitDatasetArgs<tf.TensorContainer>, 'callbacks' | 'yieldEvery'>) {
  return [callbacks]
    .flat()
    .map(callback =>
      callback instanceof tfl.Callback
        ? callback
        : new tfl.CustomCallback(callback, yieldEvery),
    );
}

/** What a callback says of itself that writes or prints. */
function isOnChiefOnly(callback: object): boolean {
  return (callback as {onChiefOnly?: boolean}).onChiefOnly === true;
}
