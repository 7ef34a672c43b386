/**
 * What is wrong with tf.layers.batchNormalization. Each case is a check that a right layer
 * passes: ResBatchNorm must, and the built-in must not, so that a case that has stopped to
 * mean anything fails.
 */
import {
  inferenceReference,
  normalValues,
  trainingReference,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorm, type ResBatchNormArgs} from '../src/index.js';

type Layer = tfl.layers.Layer;
type Make = (args?: ResBatchNormArgs) => Layer;

const train = (layer: Layer, x: tf.Tensor) =>
  layer.apply(x, {training: true}) as tf.Tensor;
const infer = (layer: Layer, x: tf.Tensor) => layer.apply(x) as tf.Tensor;

function weight(layer: Layer, name: string): tf.Tensor {
  return layer.weights.find(({originalName}) => originalName.endsWith(name))!.read();
}

/** A layer with statistics of its own in each of three channels. */
function withStatistics(layer: Layer, shape: number[]): Layer {
  layer.build(shape);
  const affine = layer.trainableWeights.map(variable => variable.read());
  layer.setWeights([...affine, tf.tensor1d([1, 2, 3]), tf.tensor1d([4, 5, 6])]);
  return layer;
}

const values = (shape: number[]) =>
  tf.tensor(normalValues(shape.reduce((a, b) => a * b, 1)), shape);

async function expectTrainingToNormalize(make: Make, shape: number[], axis: number) {
  const x = values(shape);
  const y = train(make({axis}), x);
  const ones = new Array(shape.at(axis)).fill(1);
  const expected = trainingReference({
    x: await x.data(),
    shape,
    axis,
    gamma: ones,
    beta: ones.map(() => 0),
    epsilon: 1e-3,
  });
  await expect(y).toBeAllclose(expected.y, {atol: 1e-5});
}

/** A model of one dense layer and a norm, in fit; returns the norm's moving mean. */
async function fitOnce(model: tfl.LayersModel): Promise<void> {
  model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
  await model.fit(tf.add(values([8, 4]), 5), tf.zeros([8, 3]), {verbose: 0});
}

function denseAndNorm(make: Make): {model: tfl.LayersModel; norm: Layer} {
  const norm = make();
  const model = tfl.sequential({
    layers: [tfl.layers.dense({units: 3, inputShape: [4]}), norm],
  });
  return {model, norm};
}

const faults: [string, (make: Make) => Promise<void>][] = [
  [
    '1. scale off in training (tfjs#2868)',
    async make => void train(make({scale: false}), values([4, 3])),
  ],
  [
    '1. center off in training (tfjs#2868)',
    async make => void train(make({center: false}), values([4, 3])),
  ],
  [
    '1. scale and center off, in inference mode inside a gradient',
    async make => {
      const layer = withStatistics(make({scale: false, center: false}), [null!, 3]);
      const dx = tf.grad(x => tf.sum(infer(layer, x)))(values([2, 3]));
      const expected = [4, 5, 6].map(variance => 1 / Math.sqrt(variance + 1e-3));
      await expect(dx).toBeAllclose([expected, expected]);
    },
  ],
  [
    '2. inference along another axis than the last (tfjs#1106)',
    async make => {
      const shape = [2, 3, 4];
      const x = values(shape);
      const y = infer(withStatistics(make({axis: 1}), shape), x);
      const expected = inferenceReference(
        {
          x: await x.data(),
          shape,
          axis: 1,
          gamma: [1, 1, 1],
          beta: [0, 0, 0],
          epsilon: 1e-3,
        },
        {mean: [1, 2, 3], variance: [4, 5, 6]},
      );
      await expect(y).toBeAllclose(expected.y);
    },
  ],
  [
    '2. training along another axis than the last (tfjs#1773)',
    async make => {
      const layer = make({axis: 1});
      const x = values([2, 3, 4]);
      layer.apply(x);
      tf.grad(x => tf.sum(tf.square(train(layer, x))))(x);
      await expectTrainingToNormalize(make, [2, 3, 4], 1);
    },
  ],
  [
    '3. rank 5, as after a Conv3D (tfjs#2504, #5843, #8011)',
    make => expectTrainingToNormalize(make, [2, 2, 3, 2, 3], -1),
  ],
  [
    '4. layer.trainable = false: the statistics stay',
    async make => {
      const {model, norm} = denseAndNorm(make);
      norm.trainable = false;
      await fitOnce(model);
      await expect(weight(norm, 'moving_mean')).toBeAllclose([0, 0, 0]);
    },
  ],
  [
    '4. layer.trainable = false: inference mode',
    async make => {
      const layer = withStatistics(make(), [null!, 3]);
      layer.trainable = false;
      const x = values([5, 3]);
      await expect(train(layer, x)).toBeAllclose(infer(layer, x));
    },
  ],
  [
    '4. model.trainable = false: the statistics stay',
    async make => {
      const {model, norm} = denseAndNorm(make);
      model.trainable = false;
      model.apply(values([8, 4]), {training: true});
      await expect(weight(norm, 'moving_mean')).toBeAllclose([0, 0, 0]);
    },
  ],
  [
    '4. trainable = false on an enclosing model: the statistics stay',
    async make => {
      const {model, norm} = denseAndNorm(make);
      const outer = tfl.sequential({layers: [model, tfl.layers.dense({units: 3})]});
      outer.trainable = false;
      outer.apply(values([8, 4]), {training: true});
      await expect(weight(norm, 'moving_mean')).toBeAllclose([0, 0, 0]);
    },
  ],
  [
    '5. a NaN batch leaves the statistics finite',
    async make => {
      const layer = make();
      train(layer, values([4, 3]));
      train(layer, tf.tensor2d([1, NaN, 2, 3, 4, 5], [2, 3]));
      for (const name of ['moving_mean', 'moving_variance']) {
        expect(Array.from(await weight(layer, name).data()).every(Number.isFinite)).toBe(
          true,
        );
      }
    },
  ],
  [
    '6. an empty batch leaves the statistics as they are',
    async make => {
      const layer = withStatistics(make(), [null!, 3]);
      train(layer, tf.zeros([0, 3]));
      await expect(weight(layer, 'moving_mean')).toBeAllclose([1, 2, 3]);
      await expect(weight(layer, 'moving_variance')).toBeAllclose([4, 5, 6]);
    },
  ],
  [
    'gamma and beta of a norm in a frozen model, nested in another, stay',
    async make => {
      const {model, norm} = denseAndNorm(make);
      const input = tfl.input({shape: [4]});
      const inner = tfl.model({
        inputs: input,
        outputs: model.apply(input) as tfl.SymbolicTensor,
      });
      const head = tfl.layers.dense({units: 3});
      const outer = tfl.sequential({layers: [inner, head]});
      inner.trainable = false;
      const read = async () =>
        String(await Promise.all(norm.getWeights().map(weight => weight.data())));
      const before = await read();
      await fitOnce(outer);
      expect(await read()).toBe(before);
    },
  ],
  [
    'statistics that are NaN, or negative variances, are not set',
    async make => {
      for (const value of [NaN, -1]) {
        const layer = make();
        layer.build([null, 1]);
        const weights = [1, 1, 1, value].map(weight => tf.tensor1d([weight]));
        expect(() => layer.setWeights(weights)).toThrow(`moving_variance holds ${value}`);
      }
    },
  ],
  [
    'an argument of a call that is misspelled, or wrong, is an error',
    async make => {
      const x = values([4, 3]);
      expect(() => make().apply(x, {trainig: true})).toThrow("Did you mean 'training'?");
      expect(() => make().apply(x, {training: 'false'})).toThrow('true or false');
    },
  ],
];

test.each(faults)('ResBatchNorm: %s', async (_, check) => {
  await check(resBatchNorm);
});

test.each(faults)(
  'tf.layers.batchNormalization does not pass %s',
  async (name, check) => {
    // Of this fault alone, other backends' kernels are free.
    if (name.includes('tfjs#1106') && !['cpu', 'wasm'].includes(tf.getBackend())) return;
    const make: Make = args => tfl.layers.batchNormalization(args as object);
    await expect(check(make)).rejects.toThrow();
  },
);

test('6. a batch of one value a channel gives beta, and pulls the variance to 0 as Keras does', async () => {
  const layer = resBatchNorm({betaInitializer: 'ones'});
  await expect(train(layer, tf.tensor2d([[3, 4, 5]]))).toBeAllclose([1, 1, 1]);
  await expect(weight(layer, 'moving_mean')).toBeAllclose([0.3, 0.4, 0.5]);
  await expect(weight(layer, 'moving_variance')).toBeAllclose([0.9, 0.9, 0.9]);
});
