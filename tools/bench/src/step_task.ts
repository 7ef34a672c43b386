/** A training step of a network with ResBatchNorm, with the built-in norm and without one. */
import type {NormName} from '@resbatchnorm/resnet';
import * as tf from '@tensorflow/tfjs-core';

import type {Contender, PreparedTask} from './contender.js';
import {makeModel, numClasses} from './networks.js';
import type {Network} from './requests.js';

const normOf: Record<string, NormName> = {ours: 'res', builtIn: 'builtin', none: 'none'};

// So small that a network without a norm stays finite over any number of steps.
const learningRate = 1e-6;

export function prepareStep(network: Network): PreparedTask {
  const trainings = Object.keys(normOf).map(
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

export interface Training {
  step: Contender;
  parameters: number;
  dispose(): void;
}

/** A model and a batch of random images. */
export function makeTraining(network: Network, contender: string): Training {
  const {name, imageShape, batchSize} = network;
  const model = makeModel(network, normOf[contender]);
  const optimizer = tf.train.momentum(learningRate, 0.9);
  model.compile({optimizer, loss: 'categoricalCrossentropy'});
  const xs = tf.randomNormal([batchSize, ...imageShape], 0, 1, 'float32', 1);
  const labels = Array.from({length: batchSize}, (_, i) => i % numClasses);
  const ys = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), numClasses));
  return {
    async step(count) {
      for (let i = 0; i < count; i++) {
        const loss = (await model.trainOnBatch(xs, ys)) as number;
        if (!Number.isFinite(loss)) {
          throw new Error(`${name}, norm ${contender}: the loss is ${loss}.`);
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
