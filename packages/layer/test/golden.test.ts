/**
 * The layer against what its peers computed: testing/golden/README.md says where the numbers are from
 * and what the fields mean.
 */
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import type {LayerVariable} from '@tensorflow/tfjs-layers';

import type {Tolerance} from '../../../testing/jest/matchers';

import {
  collectUpdateOps,
  resBatchNorm,
  type ResBatchNorm,
  type ResBatchNormArgs,
} from '../src/index.js';

/** Row-major; what is not finite is its name, since JSON has no such numbers. */
type Values = (number | 'NaN' | 'Infinity' | '-Infinity')[];

interface Step {
  shape: number[];
  x: Values;
  mask?: Values;
  batchWeights?: Values;
  /** All gradients are those of Σ dy·y. */
  dy: Values;
  y: Values;
  dx: Values;
  dgamma?: Values;
  dbeta?: Values;
  /** After the step. */
  weights: Record<string, Values>;
}

interface Case {
  name: string;
  layer: ResBatchNormArgs;
  adjustment?: Record<'scale' | 'offset', {shape: number[]; values: Values}>;
  updates?: 'inPlace' | 'collected';
  learningRate: number;
  initialWeights: Record<string, Values>;
  steps: Step[];
  inference: {shape: number[]; x: Values; y: Values};
}

interface GoldenFile {
  source: string;
  cases: Case[];
}

const folder = join(__dirname, '../../../testing/golden');
const files = readdirSync(folder)
  .filter(name => name.endsWith('.json') && name !== 'keras3_freezing.json')
  .map(name => JSON.parse(readFileSync(join(folder, name), 'utf8')) as GoldenFile);

const tensorOf = (values: Values, shape: number[]) =>
  tf.tensor(values.map(Number), shape, 'float32');

/** 'batch_norm/moving_mean' → 'moving_mean'. */
const nameOf = (weight: LayerVariable) => weight.originalName.split('/').at(-1)!;

function layerOf(golden: Case): ResBatchNorm {
  const {adjustment, initialWeights, steps} = golden;
  const layer = resBatchNorm({
    ...golden.layer,
    ...(adjustment && {
      adjustment: () => {
        const {scale, offset} = adjustment;
        return [
          tensorOf(scale.values, scale.shape),
          tensorOf(offset.values, offset.shape),
        ];
      },
    }),
  });
  layer.build([null, ...steps[0].shape.slice(1)]);
  for (const weight of layer.weights) {
    const value = tf.tensor(
      initialWeights[nameOf(weight)].map(Number),
      weight.shape as [],
    );
    weight.write(tf.cast(value, weight.dtype as 'float32' | 'int32'));
  }
  return layer;
}

/** One step of training, as a custom loop does it. */
function train(layer: ResBatchNorm, step: Step, golden: Case): Record<string, tf.Tensor> {
  const {shape} = step;
  const trained = layer.weights.filter(w => ['gamma', 'beta'].includes(nameOf(w)));
  const mask = step.mask && tensorOf(step.mask, shape.slice(0, -1));
  const batchWeights = step.batchWeights && tensorOf(step.batchWeights, [shape[0]]);

  let y: tf.Tensor;
  const forward = (x: tf.Tensor) => {
    const kwargs = {training: true, mask: mask && tf.cast(mask, 'bool'), batchWeights};
    y = tf.keep(layer.apply(x, kwargs) as tf.Tensor);
    return y;
  };
  const inputs = [tensorOf(step.x, shape), ...trained.map(weight => weight.read())];
  const backward = () => tf.grads(forward)(inputs, tensorOf(step.dy, shape));

  let gradients: tf.Tensor[];
  if (golden.updates === 'collected') {
    const {result, updateOps} = collectUpdateOps(backward);
    gradients = result;
    updateOps.run();
  } else {
    gradients = backward();
  }
  const [dx, ...dTrained] = gradients;
  trained.forEach((weight, i) => {
    weight.write(tf.sub(weight.read(), tf.mul(dTrained[i], golden.learningRate)));
  });
  const names = trained.map(weight => `d${nameOf(weight)}`);
  return {y: y!, dx, ...Object.fromEntries(names.map((name, i) => [name, dTrained[i]]))};
}

/**
 * Where Keras lets what is not finite out from under a mask, the layer must not; what it gives
 * there instead is its own.
 */
async function expectToBe(received: tf.Tensor, values: Values, tolerance: Tolerance) {
  const data = await received.data();
  const expected = values.map((value, i) => {
    const isSpread = !Number.isFinite(Number(value)) && Number.isFinite(data[i]);
    return isSpread ? data[i] : Number(value);
  });
  await expect(data).toBeAllclose(expected, tolerance);
  expect(expected.every(Number.isFinite)).toBe(true);
}

const outputs = {rtol: 1e-5, atol: 1e-5};
const gradients = {rtol: 1e-4, atol: 1e-5};
const statistics = {rtol: 1e-5, atol: 1e-6};

describe.each(files)('$source', ({cases}) => {
  test.each(cases)('$name', async golden => {
    const layer = layerOf(golden);
    for (const step of golden.steps) {
      const {y, ...derivatives} = train(layer, step, golden);
      await expectToBe(y, step.y, outputs);
      for (const [name, derivative] of Object.entries(derivatives)) {
        await expectToBe(derivative, step[name as 'dx'], gradients);
      }
      expect(layer.weights.map(nameOf)).toEqual(Object.keys(step.weights));
      for (const weight of layer.weights) {
        await expectToBe(weight.read(), step.weights[nameOf(weight)], statistics);
      }
    }
    const {x, shape, y} = golden.inference;
    await expectToBe(layer.apply(tensorOf(x, shape)) as tf.Tensor, y, outputs);
  });
});
