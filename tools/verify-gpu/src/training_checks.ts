/** Trains a ResNet with the update check on, and watches the loss and the memory. */
import {UpdateOpsCheck} from '@resbatchnorm/callbacks';
import {
  CosineSchedule,
  firstImages,
  type ImageDataset,
  learningRates,
  trainingBatches,
} from '@resbatchnorm/resnet';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import type {MemoryMeter} from './apis.js';
import {atMost, type Check, equalTo} from './report.js';
import {compile, type Digits, disposeOptimizer} from './resnet_on_digits.js';

const learningRate = learningRates.res;
const seed = 1;
const memorySamples = 10;

export interface TrainingOptions {
  steps: number;
  batchSize: number;
  memory: MemoryMeter[];
  onStep(step: number): void;
}

export async function trainAndCheck(
  model: tfl.LayersModel,
  {dataset, normalization}: Digits,
  {steps, batchSize, memory, onStep}: TrainingOptions,
): Promise<Check[]> {
  const optimizer = compile(model, learningRate);
  const updateCheck = new UpdateOpsCheck({onViolation: 'throw'});
  const monitor = new Monitor(memory, Math.ceil(steps / memorySamples), onStep);
  const whole = inWholeBatches(dataset, batchSize);
  await model.fitDataset(trainingBatches(whole, normalization, {batchSize, seed}), {
    epochs: 1,
    batchesPerEpoch: steps,
    verbose: 0,
    callbacks: [new CosineSchedule(optimizer, learningRate, steps), updateCheck, monitor],
  });
  disposeOptimizer(optimizer);
  return [
    lossCheck(model.name, monitor.losses),
    updatesCheck(updateCheck, steps),
    atMost(0, {
      group: 'tensors constant',
      name: `growth over ${steps} steps of training`,
      measured: growth(monitor.tensors),
    }),
    ...memory.map(({name, unit}, i) =>
      atMost(0, {
        group: 'GPU memory constant',
        name: `growth of ${name}`,
        unit,
        measured: growth(monitor.memorySamples[i]),
      }),
    ),
  ];
}

/**
 * Without the images left over at the end of an epoch. They would be a smaller batch, and the
 * WebGPU backend, which keeps each buffer for the next of its size, would allocate once more.
 */
export function inWholeBatches(dataset: ImageDataset, batchSize: number): ImageDataset {
  const {length} = dataset.train.labels;
  return {...dataset, train: firstImages(dataset.train, length - (length % batchSize))};
}

/** A few steps lower the loss a little; a hundred do far more than halve it. */
function lossLimit(steps: number): number {
  return steps < 100 ? 1 : 0.5;
}

/** The mean of the last tenth of the steps over the mean of the first tenth. */
function lossCheck(modelName: string, losses: number[]): Check {
  const tenth = Math.ceil(losses.length / 10);
  const first = mean(losses.slice(0, tenth));
  const last = mean(losses.slice(-tenth));
  return atMost(lossLimit(losses.length), {
    group: 'loss falls',
    name: `${modelName}: last tenth of the steps ${last.toFixed(3)}, first ${first.toFixed(3)}`,
    measured: last / first,
  });
}

function updatesCheck(check: UpdateOpsCheck, steps: number): Check {
  const report = check.report();
  return equalTo(report.length * steps, {
    group: 'update ops run',
    name: `${report.length} layers × ${steps} steps`,
    measured: report.reduce((sum, {updates}) => sum + updates, 0),
  });
}

/**
 * How much a quantity grew over a run: its peak in the second half over its peak in the
 * first. What is allocated once, at the start, does not count.
 */
export function growth(samples: readonly number[]): number {
  const middle = samples.length >> 1;
  return Math.max(...samples.slice(middle)) - Math.max(...samples.slice(0, middle));
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Notes, at the end of each step, the loss and the number of tensors; now and then memory. */
class Monitor extends tfl.Callback {
  readonly losses: number[] = [];
  readonly tensors: number[] = [];
  readonly memorySamples: number[][];

  constructor(
    private readonly memory: MemoryMeter[],
    private readonly interval: number,
    private readonly onStep: (step: number) => void,
  ) {
    super();
    this.memorySamples = memory.map(() => []);
  }

  override async onBatchEnd(batch: number, logs: {loss?: unknown} = {}): Promise<void> {
    // An instance of a callback is given a tensor.
    this.losses.push((await (logs.loss as tf.Scalar).data())[0]);
    this.tensors.push(tf.memory().numTensors);
    if ((batch + 1) % this.interval === 0) {
      for (const [i, meter] of this.memory.entries()) {
        this.memorySamples[i].push(await meter.read());
      }
    }
    this.onStep(batch + 1);
  }
}
