/** The time of a training step with ResBatchNorm, with the built-in layer and with none. */
import {learningRates, makeBatch, type NormName, normNames} from '@resbatchnorm/resnet';
import {sampleOf} from '@resbatchnorm/tools-common/report';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import type {StepTimes} from './report.js';
import {compile, type Digits, disposeOptimizer, makeModel} from './resnet_on_digits.js';

export interface StepTimesOptions {
  depth: number;
  batchSize: number;
  /** Each of which is a step of every norm, one after another. */
  rounds: number;
  /** Rounds before the first that counts: code is compiled and memory allocated. */
  warmUpRounds: number;
  onRound(round: number): void;
}

export async function measureStepTimes(
  digits: Digits,
  {depth, batchSize, rounds, warmUpRounds, onRound}: StepTimesOptions,
): Promise<StepTimes> {
  const {dataset, normalization} = digits;
  const indices = Array.from({length: batchSize}, (_, i) => i);
  const {xs, ys} = makeBatch(dataset.train, indices, dataset, normalization);
  const models = normNames.map(norm => {
    const model = makeModel(digits, depth, norm);
    const optimizer = compile(model, learningRates[norm]);
    return {norm, model, optimizer, times: [] as number[]};
  });
  for (let round = 1 - warmUpRounds; round <= rounds; round++) {
    for (const {model, times} of models) {
      const time = await timeStep(model, xs, ys);
      if (round > 0) times.push(time);
    }
    onRound(round);
  }
  tf.dispose([xs, ys]);
  for (const {model, optimizer} of models) {
    model.dispose();
    disposeOptimizer(optimizer);
  }
  const milliseconds = Object.fromEntries(
    models.map(({norm, times}) => [norm, sampleOf(times).median]),
  ) as Record<NormName, number>;
  return {
    model: `ResNet-${depth}`,
    batchSize,
    imageShape: dataset.imageShape,
    rounds,
    milliseconds,
  };
}

/**
 * Ends when a weight that the step wrote has arrived on the host. The loss, which
 * `trainOnBatch` waits for, could be there before the gradients are.
 */
async function timeStep(
  model: tfl.LayersModel,
  xs: tf.Tensor,
  ys: tf.Tensor,
): Promise<number> {
  const start = performance.now();
  await model.trainOnBatch(xs, ys);
  await model.trainableWeights.at(-1)!.read().data();
  return performance.now() - start;
}
