/**
 * `model.fitDataset` on several replicas. It runs as it is, on whole batches; what is replaced
 * is its training step: each replica makes that of its part, and their losses are averaged.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {checkEqual, checksum} from './agreement.js';
import type {Collectives} from './collectives.js';
import {broadcastState} from './model_state.js';
import {averageMovingStatistics} from './moving_statistics.js';

/** What `fitDataset` takes: a tf.data.Dataset of batches, or what can stand for one. */
export interface BatchDataset<T> {
  /** How many batches a pass has; null if that is not known. */
  readonly size: number | null;
  iterator(): Promise<{next(): Promise<IteratorResult<T>>}>;
}

/** What of Replicas a training takes. */
interface Replicas extends Collectives {
  optimizer(optimizer: tf.Optimizer): tf.Optimizer;
  stepOf(batch: tf.Tensor[], train: TrainFunction): tf.Scalar[];
}

/** From the inputs and the targets to the loss and the metrics. */
type TrainFunction = (data: tf.Tensor[]) => tf.Scalar[];

/** What of a model is used that its type does not tell. */
type Model = tfl.LayersModel & {
  optimizer: tf.Optimizer;
  stopTraining: boolean;
  makeTrainFunction(): TrainFunction;
};

/** A callback, as far as it is asked. */
interface Callback {
  /** Said by one that writes or prints. */
  onChiefOnly?: boolean;
  /** Instances have it, plain objects of functions don't. */
  setParams?: unknown;
}

export async function fitOnReplicas<T>(
  replicas: Replicas,
  model: tfl.LayersModel,
  dataset: BatchDataset<T>,
  args: tfl.ModelFitDatasetArgs<T>,
): Promise<tfl.History> {
  checkArguments(model, dataset, args);
  const {epochs, batchesPerEpoch, callbacks, yieldEvery, initialEpoch = 0} = args;
  const inner = trainedModel(model);
  replicas.optimizer(inner.optimizer);
  checkEqual(replicas, {epochs, batchesPerEpoch});
  const firstEpoch = broadcastState(replicas, inner, initialEpoch);
  const training = new JoinedTraining(replicas, inner, batchesPerEpoch);
  const {makeTrainFunction} = inner;
  inner.makeTrainFunction = () => training.trainFunction(makeTrainFunction.call(inner));
  try {
    return await model.fitDataset(training.watched(dataset) as never, {
      ...args,
      initialEpoch: firstEpoch,
      ...(!replicas.isChief && {verbose: 0}),
      callbacks: [
        new tfl.CustomCallback({
          onEpochBegin: async epoch => training.beginEpoch(epoch),
          onEpochEnd: async (_, logs) => training.endEpoch(logs as Logs),
        }),
        ...ownCallbacks(replicas, callbacks, yieldEvery),
        // Behind all others, which may have stopped the training.
        new tfl.CustomCallback({
          onBatchEnd: async () => training.agreeOnStop(),
          onEpochEnd: async () => training.agreeOnStop(),
        }),
      ] as tfl.ModelFitDatasetArgs<T>['callbacks'],
    });
  } finally {
    inner.makeTrainFunction = makeTrainFunction;
  }
}

/** Before anything is changed, and before the others are kept waiting. */
function checkArguments(
  model: tfl.LayersModel,
  dataset: BatchDataset<unknown>,
  args: tfl.ModelFitDatasetArgs<unknown>,
): void {
  const isWhole = (value: unknown, least: number) =>
    Number.isInteger(value) && (value as number) >= least;
  const {epochs, initialEpoch = 0, batchesPerEpoch = 1} = args ?? {};
  const wrong: [string, string, boolean, unknown][] = [
    ['model', 'a compiled model', model?.optimizer != null, model?.optimizer],
    ['dataset', 'a dataset', typeof dataset?.iterator === 'function', dataset],
    ['epochs', 'an integer from 1', isWhole(epochs, 1), epochs],
    ['initialEpoch', 'an integer from 0', isWhole(initialEpoch, 0), initialEpoch],
    [
      'batchesPerEpoch',
      'an integer from 1',
      isWhole(batchesPerEpoch, 1),
      batchesPerEpoch,
    ],
  ];
  for (const [name, expected, isRight, value] of wrong) {
    if (isRight) continue;
    throw new TypeError(
      `replicas.fitDataset: ${name} must be ${expected}. Received: ${String(value)}`,
    );
  }
}

/** A Sequential is trained by the model that it has inside. */
function trainedModel(model: tfl.LayersModel): Model {
  const {model: inside} = model as unknown as {model?: tfl.LayersModel};
  return (model instanceof tfl.Sequential && inside ? inside : model) as Model;
}

/** Those that run on this replica, as instances, which tfjs takes side by side. */
function ownCallbacks(
  replicas: Replicas,
  callbacks: tfl.ModelFitDatasetArgs<unknown>['callbacks'],
  yieldEvery: tfl.ModelFitDatasetArgs<unknown>['yieldEvery'],
): unknown[] {
  return ([callbacks ?? []].flat() as Callback[])
    .filter(({onChiefOnly}) => replicas.isChief || !onChiefOnly)
    .map(callback =>
      typeof callback.setParams === 'function'
        ? callback
        : new tfl.CustomCallback(callback as tfl.CustomCallbackArgs, yieldEvery),
    );
}

/** Of an epoch; by now read back from the device. */
type Logs = Record<string, number>;

/** One call of fitDataset. */
class JoinedTraining {
  private epoch = 0;
  private stepsInEpoch = 0;
  /** Whether the replicas have been through the steps of the epoch. */
  private isThrough = false;

  constructor(
    private readonly replicas: Replicas,
    private readonly model: Model,
    private readonly batchesPerEpoch = Infinity,
  ) {}

  beginEpoch(epoch: number): void {
    this.epoch = epoch;
    this.stepsInEpoch = 0;
    this.isThrough = false;
  }

  /** The dataset; where it ends, the epoch's steps do. */
  watched<T>(dataset: BatchDataset<T>): BatchDataset<T> {
    return {
      size: dataset.size,
      iterator: async () => {
        const iterator = await dataset.iterator();
        return {
          next: async () => {
            const next = await iterator.next();
            if (next.done) this.endSteps();
            return next;
          },
        };
      },
    };
  }

  trainFunction(train: TrainFunction): TrainFunction {
    return data => {
      const {replicas} = this;
      if (this.stepsInEpoch === 0) this.checkData(data);
      const results = replicas.stepOf(data, part => train(part));
      this.stepsInEpoch += 1;
      if (this.stepsInEpoch === this.batchesPerEpoch) this.endSteps();
      return results;
    };
  }

  /** Logs that were computed by each replica alone, as of validation, may differ in rounding. */
  endEpoch(logs: Logs): void {
    this.endSteps();
    const [ofChief] = this.replicas.gather(
      `logs of epoch ${this.epoch + 1}`,
      Float64Array.from(Object.values(logs)),
    );
    Object.keys(logs).forEach((name, i) => (logs[name] = ofChief[i]));
  }

  /** One that stops, stops all: otherwise the others would wait for it. */
  agreeOnStop(): void {
    const stops = this.replicas.gather(
      `whether to go on after step ${this.stepsInEpoch} of epoch ${this.epoch + 1}`,
      Float64Array.of(Number(this.model.stopTraining)),
    );
    if (stops.some(([stop]) => stop !== 0)) this.model.stopTraining = true;
  }

  /** Before validation, which is to be the same on all replicas. */
  private endSteps(): void {
    if (this.isThrough) return;
    this.isThrough = true;
    averageMovingStatistics(this.replicas, this.model);
  }

  private checkData(data: tf.Tensor[]): void {
    const batch = `the first batch of epoch ${this.epoch + 1} (what shuffles needs one seed for all)`;
    const values = data.map(tensor => tensor.dataSync());
    checkEqual(this.replicas, {[batch]: {checksum: checksum(values)}});
  }
}
