/** ResBatchNorm on the current backend against float64 on the host. */
import {resBatchNorm} from '@resbatchnorm/layer';
import {
  type Batch,
  gradientsOf,
  largestError,
  normalize,
  normalValues,
  type Statistics,
  statisticsOf,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {atMost, type Check} from './report.js';

/** A batch that ResBatchNorm is verified with. */
export interface NormCase {
  shape: number[];
  axis: number;
}

const small: NormCase[] = [
  {shape: [5, 3], axis: -1},
  {shape: [64, 10], axis: -1},
  {shape: [257, 33], axis: -1},
  {shape: [3, 7, 5], axis: -1},
  {shape: [3, 7, 5], axis: 1},
  {shape: [1, 13, 11, 5], axis: -1},
  {shape: [9, 17, 3, 1], axis: -1},
  {shape: [2, 3, 5, 7], axis: -1},
  {shape: [2, 3, 5, 7], axis: 1},
  {shape: [2, 3, 5, 7], axis: 2},
  {shape: [2, 3, 4, 5, 6], axis: -1},
  {shape: [2, 3, 4, 5, 6], axis: 1},
  {shape: [2, 3, 4, 5, 6], axis: -2},
];

const large: NormCase[] = [
  {shape: [256, 512], axis: -1},
  {shape: [32, 128, 64], axis: -1},
  {shape: [32, 32, 32, 16], axis: -1},
  {shape: [32, 8, 8, 64], axis: -1},
  {shape: [32, 64, 8, 8], axis: 1},
  {shape: [8, 33, 31, 17], axis: -1},
  {shape: [16, 56, 56, 64], axis: -1},
  {shape: [16, 64, 56, 56], axis: 1},
  {shape: [4, 8, 16, 16, 32], axis: -1},
];

export function normCases({quick}: {quick: boolean}): NormCase[] {
  return quick ? [...small, ...large.slice(0, 3)] : [...small, ...large];
}

export function caseName({shape, axis}: NormCase): string {
  return `${shape.join('×')}, axis ${axis}`;
}

const epsilon = 1e-3;
const momentum = 0.9;
// One for the output, one for the gradients.
const trainingCalls = 2;

// Relative to the largest value expected. Float32 itself has 6e-8; sums of 50,000 values by
// TensorFlow's plain reductions on a CPU were off by 8e-6. A wrong formula is off by far more
// in the small batches, such as the unbiased variance of 5 values by a quarter.
const tolerance = 5e-5;

/** Applies a layer to one batch and compares all that comes out of it. Leaks nothing. */
export async function checkNorm(normCase: NormCase): Promise<Check[]> {
  const batch = makeBatch(normCase);
  const dy = normalValues(batch.x.length, {seed: 4});
  const layer = resBatchNorm({
    axis: normCase.axis,
    epsilon,
    momentum,
    inputShape: batch.shape.slice(1),
  });
  // A layer can be disposed of only if a model has it.
  const model = tfl.sequential({layers: [layer]});
  const x = tf.tensor(batch.x, batch.shape);
  setWeights(layer, batch);

  const y = layer.apply(x, {training: true}) as tf.Tensor;
  const gradients = gradientsOn(layer, x, dy);
  const [, , movingMean, movingVariance] = layer.weights.map(weight => weight.read());
  const inferred = layer.apply(x) as tf.Tensor;

  const statistics = statisticsOf(batch);
  const moving = movingStatistics(statistics);
  const expected = gradientsOf(batch, statistics, dy);
  const comparisons: [string, tf.Tensor, Float64Array][] = [
    ['forward, training mode', y, normalize(batch, statistics)],
    ['forward, inference mode', inferred, normalize(batch, moving)],
    ['gradient of x', gradients.x, expected.dx],
    ['gradient of gamma', gradients.gamma, expected.dgamma],
    ['gradient of beta', gradients.beta, expected.dbeta],
    ['moving mean', movingMean, moving.mean],
    ['moving variance', movingVariance, moving.variance],
  ];
  const checks: Check[] = [];
  for (const [group, tensor, values] of comparisons) {
    const measured = largestError(await tensor.data(), values);
    checks.push(atMost(tolerance, {group, name: caseName(normCase), measured}));
  }
  tf.dispose([x, y, inferred, ...Object.values(gradients)]);
  model.dispose();
  return checks;
}

function makeBatch({shape, axis}: NormCase): Batch {
  const channelAxis = (axis + shape.length) % shape.length;
  const channels = shape[channelAxis];
  return {
    x: normalValues(tf.util.sizeFromShape(shape), {mean: 2, standardDeviation: 3}),
    shape,
    axis: channelAxis,
    gamma: normalValues(channels, {seed: 2, mean: 1, standardDeviation: 0.5}),
    beta: normalValues(channels, {seed: 3}),
    epsilon,
  };
}

function setWeights(layer: tfl.layers.Layer, {gamma, beta}: Batch): void {
  tf.tidy(() => {
    const [, , mean, variance] = layer.getWeights();
    layer.setWeights([tf.tensor1d(gamma), tf.tensor1d(beta), mean, variance]);
  });
}

/** The gradients of Σ dy·y in training mode. */
function gradientsOn(layer: tfl.layers.Layer, x: tf.Tensor, dy: Float32Array) {
  const input = tf.variable(x);
  const {value, grads} = tf.variableGrads(() => {
    const y = layer.apply(input, {training: true}) as tf.Tensor;
    return tf.sum(tf.mul(y, tf.tensor(dy, x.shape)));
  });
  const [gamma, beta] = layer.trainableWeights.map(({name}) => grads[name]);
  tf.dispose([value, input]);
  return {x: grads[input.name], gamma, beta};
}

/** From mean 0 and variance 1, after as many updates with the same batch. */
function movingStatistics({mean, variance}: Statistics): Statistics {
  const kept = momentum ** trainingCalls;
  return {
    mean: mean.map(m => m * (1 - kept)),
    variance: variance.map(v => kept + v * (1 - kept)),
  };
}
