/**
 * What every backend's kernels have to do, whether they are its own or composed: on unit-scale
 * data no output is off by more than 2e-6 of the largest value expected in float64.
 */
import {
  type Batch,
  gradientsOf,
  largestError,
  normalize,
  normalValues,
  statisticsOf,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {batchNormInference} from '../norm/batch_norm.js';
import {batchNormTraining, type BatchNormOptions} from '../norm/batch_norm.js';
import {
  ACTIVATED_TRAINING,
  fusedActivations,
  INFERENCE,
  type FusedActivation,
} from './kernel.js';

const TOLERANCE = 2e-6;
const epsilon = 1e-3;

interface Case {
  shape: number[];
  axis: number;
}

/** All ranks and axes, few and many channels, few and many values, odd sizes. */
const cases: Case[] = [
  {shape: [5, 3], axis: 1},
  {shape: [2, 1], axis: 1},
  {shape: [257, 33], axis: 1},
  {shape: [3, 2051], axis: 1},
  {shape: [3, 7, 5], axis: 2},
  {shape: [3, 7, 5], axis: 1},
  {shape: [1, 13, 11, 5], axis: 3},
  {shape: [9, 17, 3, 1], axis: 3},
  {shape: [4, 16, 16, 12], axis: 3},
  {shape: [4, 12, 16, 16], axis: 1},
  {shape: [5, 7, 33, 31], axis: 1},
  {shape: [2, 3, 5, 7], axis: 2},
  {shape: [2, 3, 4, 5, 6], axis: 4},
  {shape: [2, 3, 4, 5, 6], axis: 1},
  {shape: [2, 2, 3, 2, 2, 2], axis: 2},
  {shape: [2, 2, 1, 2, 2, 2, 3], axis: 6},
];

const epilogues = fusedActivations.flatMap(activation =>
  [false, true].map(hasShortcut => ({activation, hasShortcut})),
);

const clipped: Record<FusedActivation, (z: number) => number> = {
  linear: z => z,
  relu: z => Math.max(z, 0),
  relu6: z => Math.min(Math.max(z, 0), 6),
};

const passes: Record<FusedActivation, (y: number) => boolean> = {
  linear: () => true,
  relu: y => y > 0,
  relu6: y => y > 0 && y < 6,
};

function batchOf({shape, axis}: Case, mean = 0.5): Batch {
  const channels = shape[axis];
  return {
    x: normalValues(tf.util.sizeFromShape(shape), {seed: 1, mean}),
    shape,
    axis,
    // Large enough for values beyond 6.
    gamma: normalValues(channels, {seed: 2, mean: 2}),
    beta: normalValues(channels, {seed: 3, mean: 1}),
    epsilon,
  };
}

function tensorsOf({x, shape, gamma, beta}: Batch) {
  return {x: tf.tensor(x, shape), gamma: tf.tensor1d(gamma), beta: tf.tensor1d(beta)};
}

/**
 * What comes from upstream, so that the sums of dgamma and dbeta do not cancel: of such sums
 * float32 has no digits to compare.
 */
function upstreamOf({x}: Batch): Float32Array {
  return normalValues(x.length, {seed: 4, mean: 0.5}).map((value, i) => value + x[i] / 2);
}

/** activation(norm + shortcut) in float64. */
function withEpilogue(
  norm: Float64Array,
  shortcut: Float32Array | null,
  name: FusedActivation,
) {
  return norm.map((value, i) => clipped[name](value + (shortcut?.[i] ?? 0)));
}

async function errorOf(actual: tf.Tensor, expected: ArrayLike<number>) {
  return largestError(await actual.data(), expected);
}

describe.each(cases)('shape $shape, axis $axis', normCase => {
  const batch = batchOf(normCase);
  const statistics = statisticsOf(batch);
  const {shape, axis} = normCase;
  const dy = upstreamOf(batch);
  const shortcut = normalValues(batch.x.length, {seed: 5});

  const optionsOf = (activation: FusedActivation, hasShortcut: boolean) =>
    ({
      axis,
      epsilon,
      activation,
      shortcut: hasShortcut ? tf.tensor(shortcut, shape) : null,
    }) satisfies BatchNormOptions;

  test.each(epilogues)(
    'training, $activation, shortcut $hasShortcut',
    async ({activation, hasShortcut}) => {
      const {x, gamma, beta} = tensorsOf(batch);
      const options = optionsOf(activation, hasShortcut);
      const {y, mean, variance} = batchNormTraining(x, gamma, beta, options);
      const expected = withEpilogue(
        normalize(batch, statistics),
        hasShortcut ? shortcut : null,
        activation,
      );
      expect(await errorOf(y, expected)).toBeLessThan(TOLERANCE);
      expect(await errorOf(mean, statistics.mean)).toBeLessThan(TOLERANCE);
      expect(await errorOf(variance, statistics.variance)).toBeLessThan(TOLERANCE);
    },
  );

  test.each(epilogues)(
    'gradients, $activation, shortcut $hasShortcut',
    async ({activation, hasShortcut}) => {
      const {x, gamma, beta} = tensorsOf(batch);
      const options = optionsOf(activation, hasShortcut);
      const inputs = [x, gamma, beta, ...(hasShortcut ? [options.shortcut!] : [])];
      const norm = (...[x, gamma, beta, shortcut]: tf.Tensor[]) =>
        batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
          ...options,
          shortcut,
        }).y;
      const gradients = tf.grads(norm)(inputs, tf.tensor(dy, shape));

      // By what this backend's y passes: float64 may be on the other side of the bound.
      const y = await norm(...inputs).data();
      const dz = dy.map((value, i) => (passes[activation](y[i]) ? value : 0));
      const expected = gradientsOf(batch, statistics, dz);
      const [dx, dgamma, dbeta, dshortcut] = gradients;
      expect(await errorOf(dx, expected.dx)).toBeLessThan(TOLERANCE);
      expect(await errorOf(dgamma, expected.dgamma)).toBeLessThan(TOLERANCE);
      expect(await errorOf(dbeta, expected.dbeta)).toBeLessThan(TOLERANCE);
      if (hasShortcut) await expect(dshortcut).toBeAllclose(dz, {rtol: 0, atol: 0});
    },
  );

  test.each(epilogues)(
    'inference, $activation, shortcut $hasShortcut',
    async ({activation, hasShortcut}) => {
      const {x, gamma, beta} = tensorsOf(batch);
      const meanValues = normalValues(shape[axis], {seed: 6});
      const varianceValues = normalValues(shape[axis], {seed: 7}).map(v => v ** 2);
      const moving = {
        mean: Float64Array.from(meanValues),
        variance: Float64Array.from(varianceValues),
      };
      const options = optionsOf(activation, hasShortcut);
      const [mean, variance] = [meanValues, varianceValues].map(v => tf.tensor1d(v));
      const y = batchNormInference(x, gamma, beta, mean, variance, options);
      const expected = withEpilogue(
        normalize(batch, moving),
        hasShortcut ? shortcut : null,
        activation,
      );
      expect(await errorOf(y, expected)).toBeLessThan(TOLERANCE);
    },
  );
});

describe.each([
  {shape: [40000, 2], axis: 1},
  {shape: [2, 3, 128, 128], axis: 1},
  {shape: [16, 32, 32, 8], axis: 3},
])('many values a channel: shape $shape, axis $axis', normCase => {
  const {shape, axis} = normCase;

  test.each([0.5, 1e4])('mean %d', async mean => {
    const batch = batchOf(normCase, mean);
    const statistics = statisticsOf(batch);
    const {x, gamma, beta} = tensorsOf(batch);
    const dy = upstreamOf(batchOf(normCase));
    const result = batchNormTraining(x, gamma, beta, {axis, epsilon});
    const norm = (x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) =>
      batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, {axis, epsilon}).y;
    const [dx, dgamma, dbeta] = tf.grads(norm)([x, gamma, beta], tf.tensor(dy, shape));
    const expected = gradientsOf(batch, statistics, dy);
    // Of a mean of 10⁴ float32 has 3 decimal places.
    const tolerance = mean === 0.5 ? TOLERANCE : 2e-4;
    expect(await errorOf(result.y, normalize(batch, statistics))).toBeLessThan(tolerance);
    expect(await errorOf(result.mean, statistics.mean)).toBeLessThan(TOLERANCE);
    expect(await errorOf(result.variance, statistics.variance)).toBeLessThan(tolerance);
    expect(await errorOf(dx, expected.dx)).toBeLessThan(tolerance);
    expect(await errorOf(dgamma, expected.dgamma)).toBeLessThan(tolerance);
    expect(await errorOf(dbeta, expected.dbeta)).toBeLessThan(TOLERANCE);
  });
});

describe('what is not finite', () => {
  test.each([NaN, Infinity, -Infinity])(
    '%d makes its channel not finite, and no other',
    async value => {
      const x = tf.tensor2d([1, 1, 2, value, 3, 3], [3, 2]);
      const {y, mean, variance} = batchNormTraining(x);
      const [a, b] = [0, 1].map(c => tf.slice(y, [0, c], [3, 1]));
      await expect(a).toBeAllclose([-1.224, 0, 1.224], {atol: 1e-3});
      expect(Array.from(await b.data()).some(Number.isFinite)).toBe(false);
      expect(Number.isFinite((await mean.data())[1])).toBe(false);
      expect(Number.isFinite((await variance.data())[1])).toBe(false);
    },
  );

  // Fewer channels than a vector of the GPU has, and as many.
  test.each(
    fusedActivations.flatMap(activation => [2, 4].map(count => ({activation, count}))),
  )('NaN passes $activation, $count channels', async ({activation, count}) => {
    const values = normalValues(3 * count, {seed: 1});
    values[count] = NaN;
    const x = tf.tensor2d(values, [3, count]);
    const isNaNIn = async (y: tf.Tensor) => Array.from(await y.data(), Number.isNaN);
    const {y} = batchNormTraining(x, null, null, {activation});
    expect(await isNaNIn(y)).toEqual(Array.from(values, (_, i) => i % count === 0));
    const [mean, variance] = [tf.zeros([count]), tf.ones([count])] as tf.Tensor1D[];
    const inference = batchNormInference(x, null, null, mean, variance, {activation});
    expect(await isNaNIn(inference)).toEqual(Array.from(values, Number.isNaN));
  });
});

describe('the flag RES_BATCH_NORM_KERNELS', () => {
  afterEach(() => tf.env().set('RES_BATCH_NORM_KERNELS', true));

  test('on, the kernels of the backend run, with no other within them; off, composed ones', async () => {
    const {x, gamma, beta} = tensorsOf(batchOf({shape: [8, 6, 5, 4], axis: 3}));
    const kernelsOf = async () => {
      const {kernelNames} = await tf.profile(() => {
        const {mean, variance} = batchNormTraining(x, gamma, beta, {activation: 'relu'});
        batchNormInference(x, gamma, beta, mean, variance);
      });
      return kernelNames.filter(name => name !== 'Identity');
    };
    expect((await kernelsOf()).sort()).toEqual([INFERENCE, ACTIVATED_TRAINING].sort());
    tf.env().set('RES_BATCH_NORM_KERNELS', false);
    expect(await kernelsOf()).toContain('Rsqrt');
  });

  test('off, the composed kernels give the same', async () => {
    const batch = batchOf({shape: [8, 6, 5, 4], axis: 3});
    const {x, gamma, beta} = tensorsOf(batch);
    const run = () =>
      tf.grads((x, gamma, beta, shortcut) => {
        const options = {shortcut, activation: 'relu'} as const;
        return batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, options).y;
      })([x, gamma, beta, tf.square(x)]);
    const own = run();
    tf.env().set('RES_BATCH_NORM_KERNELS', false);
    const composed = run();
    for (const [i, gradient] of own.entries()) {
      await expect(gradient).toBeAllclose(composed[i], {rtol: 1e-5, atol: 1e-4});
    }
  });

  test('switched between the forward pass and the gradient, both are still right', async () => {
    const x = tf.tensor2d(normalValues(60), [20, 3]);
    const dy = tf.tensor2d(normalValues(60, {seed: 2}), [20, 3]);
    const switching = (before: boolean, after: boolean) => {
      tf.env().set('RES_BATCH_NORM_KERNELS', before);
      return tf.grad(x => {
        const {y} = batchNormTraining(x);
        tf.env().set('RES_BATCH_NORM_KERNELS', after);
        return y;
      })(x, dy);
    };
    const expected = switching(true, true);
    await expect(switching(true, false)).toBeAllclose(expected, {atol: 1e-5});
    await expect(switching(false, true)).toBeAllclose(expected, {atol: 1e-5});
  });
});

test.each(epilogues)(
  'keeps nothing but its results: $activation, shortcut $hasShortcut',
  ({activation, hasShortcut}) => {
    const [x, shortcut] = [1, 2].map(() => tf.randomNormal([6, 4, 3]));
    const [gamma, beta] = [tf.ones([3]), tf.zeros([3])] as tf.Tensor1D[];
    const options = {activation, shortcut: hasShortcut ? shortcut : null};
    const before = tf.memory().numTensors;
    const outputs = batchNormTraining(x, gamma, beta, options);
    expect(tf.memory().numTensors).toBe(before + 3);
    const y = batchNormInference(x, gamma, beta, outputs.mean, outputs.variance, options);
    expect(tf.memory().numTensors).toBe(before + 4);
    const {numDataBuffers} = tf.memory();
    tf.dispose([y, {...outputs}]);
    expect(tf.memory().numDataBuffers).toBe(numDataBuffers - 4);
    const inputs = [x, gamma, beta, ...(hasShortcut ? [shortcut] : [])];
    const gradients = tf.grads((x, gamma, beta, shortcut) =>
      tf.sum(
        batchNormTraining(x, gamma as tf.Tensor1D, beta as tf.Tensor1D, {
          activation,
          shortcut,
        }).y,
      ),
    )(inputs);
    expect(tf.memory().numTensors).toBe(before + inputs.length);
    tf.dispose(gradients);
  },
);

test.each([
  {activation: 'linear', kept: 'x', count: 1},
  {activation: 'relu', kept: 'x and y', count: 2},
] as const)(
  'with $activation, the gradient keeps $kept and no other tensor of that size',
  ({activation, count}) => {
    const shape = [64, 32];
    let bytes = 0;
    tf.grad(x => {
      const before = tf.memory().numBytes;
      // An op whose gradient keeps nothing.
      const next = tf.tidy(() =>
        tf.neg(batchNormTraining(x, null, null, {activation}).y),
      );
      bytes = tf.memory().numBytes - before;
      return next;
    })(tf.randomNormal(shape));
    // Besides the result; what is per channel is less than half of x.
    expect(Math.round(bytes / (4 * 64 * 32)) - 1).toBe(count);
  },
);
