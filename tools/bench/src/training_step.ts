/**
 * A training step of a network with ResBatchNorm, with the built-in norm and without one: its
 * time, and the memory that it takes at its peak.
 */
import {fuseUpdates} from '@resbatchnorm/native/optimizers';
import type {NormName} from '@resbatchnorm/resnet';
import * as tf from '@tensorflow/tfjs-core';

import type {Network} from './cases.js';
import type {Contender, PreparedTask} from './contender.js';
import {makeBatch, makeModel} from './networks.js';
import type {Peak} from './requests.js';

// So small that a network without a norm stays finite over any number of steps.
const learningRate = 1e-6;

const momentum = () => tf.train.momentum(learningRate, 0.9);
/** One op a step on TensorFlow's CPU; elsewhere as it is. */
const fused = () => fuseUpdates(momentum());

/** What each contender trains: what a user of that norm would write. */
const recipes: Record<string, {norm: NormName; makeOptimizer(): tf.Optimizer}> = {
  ours: {norm: 'res', makeOptimizer: fused},
  builtIn: {norm: 'builtin', makeOptimizer: momentum},
  none: {norm: 'none', makeOptimizer: momentum},
};

export function prepareStep(network: Network): PreparedTask {
  const trainings = Object.keys(recipes).map(
    name => [name, makeTraining(network, name)] as const,
  );
  return {
    contenders: Object.fromEntries(trainings.map(([name, {step}]) => [name, step])),
    parameters: Object.fromEntries(
      trainings.map(([name, {parameters}]) => [name, parameters]),
    ),
    dispose: () => trainings.forEach(([, training]) => training.dispose()),
  };
}

interface Training {
  step: Contender;
  parameters: number;
  dispose(): void;
}

/** A model and a batch of random images. */
function makeTraining(network: Network, contender: string): Training {
  const {name} = network;
  const {norm, makeOptimizer} = recipes[contender];
  const model = makeModel(network, norm);
  const optimizer = makeOptimizer();
  model.compile({optimizer, loss: 'categoricalCrossentropy'});
  const {xs, ys} = makeBatch(network);
  return {
    async step(count) {
      for (let i = 0; i < count; i++) {
        const loss = (await model.trainOnBatch(xs, ys)) as number;
        if (!Number.isFinite(loss)) {
          throw new Error(`${name}, ${contender}: the loss is ${loss}.`);
        }
      }
      // The loss, which is waited for above, could be there before the gradients are.
      await model.trainableWeights.at(-1)!.read().data();
    },
    parameters: model.countParams(),
    dispose() {
      tf.dispose([xs, ys]);
      model.dispose();
      optimizer.dispose();
    },
  };
}

/** The peak of the second step: the first one makes the optimizer's weights. */
export async function measurePeak(network: Network, contender: string): Promise<Peak> {
  const meter = new PeakMeter();
  try {
    const {step, dispose} = makeTraining(network, contender);
    await step(1);
    meter.restart();
    await step(1);
    dispose();
    return meter.peak;
  } finally {
    meter.remove();
  }
}

/** Sees every tensor that comes and every buffer that goes. What was there before is left out. */
export class PeakMeter {
  private readonly engine = tf.engine();
  private readonly bytesBefore = this.engine.state.numBytes;
  private readonly buffers = new Map<object, number>();
  private bufferBytes = 0;
  peak: Peak = {numBytes: 0, bufferBytes: 0};

  constructor() {
    const {engine} = this;
    const {trackTensor, removeDataId} = engine;
    engine.trackTensor = (tensor, backend) => {
      trackTensor.call(engine, tensor, backend);
      this.add(tensor);
    };
    engine.removeDataId = (dataId, backend) => {
      removeDataId.call(engine, dataId, backend);
      this.bufferBytes -= this.buffers.get(dataId) ?? 0;
      this.buffers.delete(dataId);
    };
  }

  restart(): void {
    this.peak = {numBytes: 0, bufferBytes: 0};
    this.update();
  }

  /** The methods of the class are there again. */
  remove(): void {
    const hooked: Partial<Pick<typeof this.engine, 'trackTensor' | 'removeDataId'>> =
      this.engine;
    delete hooked.trackTensor;
    delete hooked.removeDataId;
  }

  private add({dataId, size, dtype}: tf.Tensor): void {
    if (!this.buffers.has(dataId)) {
      const bytes = size * tf.util.bytesPerElement(dtype);
      this.buffers.set(dataId, bytes);
      this.bufferBytes += bytes;
    }
    this.update();
  }

  private update(): void {
    const {peak} = this;
    const numBytes = this.engine.state.numBytes - this.bytesBefore;
    peak.numBytes = Math.max(peak.numBytes, numBytes);
    peak.bufferBytes = Math.max(peak.bufferBytes, this.bufferBytes);
  }
}
