/**
 * Random layers on random data, against the float64 reference: forward, gradients and moving
 * statistics. The seed is printed, and the smallest case if one fails;
 * FAST_CHECK_SEED sets another.
 */
import {
  dot,
  finiteDifferences,
  normalValues,
  type Problem,
  trainingReference,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';

import {resBatchNorm} from '../src/index.js';

declare const backendUnderTest: string;

// Each shape is compiled anew on a GPU made of software.
const runs =
  ({cpu: 2000, webgpu: 100} as Record<string, number>)[backendUnderTest] ?? 300;
const seed = Number(process.env.FAST_CHECK_SEED ?? 20261124);

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

interface Case {
  shape: number[];
  axis: number;
  seed: number;
  /** Standard deviation of the data; its mean is a multiple of that. */
  scale: number;
  shift: number;
  args: {scale: boolean; center: boolean; momentum: number};
  variant: 'plain' | 'masked' | 'weighted' | 'ghost' | 'residual' | 'unbiased';
}

const cases: fc.Arbitrary<Case> = fc
  .integer({min: 2, max: 5})
  .chain(rank =>
    fc.record({
      shape: fc.array(fc.integer({min: 0, max: 4}), {minLength: rank, maxLength: rank}),
      axis: fc.oneof(
        fc.integer({min: 1, max: rank - 1}),
        fc.integer({min: 1 - rank, max: -1}),
      ),
      seed: fc.integer({min: 1, max: 2 ** 30}),
      scale: fc.integer({min: -6, max: 6}).map(exponent => 10 ** exponent),
      shift: fc.constantFrom(0, 0, 1, -10, 100),
      args: fc.record({
        scale: fc.boolean(),
        center: fc.boolean(),
        momentum: fc.constantFrom(0, 0.5, 0.9, 1),
      }),
      variant: fc.constantFrom(
        'plain',
        'masked',
        'weighted',
        'ghost',
        'residual',
        'unbiased',
      ),
    }),
  )
  // A channel axis of size 0 leaves nothing to normalize, and no layer can be built for it.
  .filter(({shape, axis}) => shape.at(axis)! > 0);

test(`${runs} random cases, seed ${seed}`, async () => {
  await fc.assert(fc.asyncProperty(cases, check), {numRuns: runs, seed});
}, 600_000);

async function check({shape, axis, args, ...data}: Case): Promise<void> {
  const channels = shape.at(axis)!;
  const size = sizeOf(shape);
  // Float32 has 7 digits; those that the mean takes are lost to the deviation.
  const shift = data.scale * data.shift;
  const x = normalValues(size, {
    seed: data.seed,
    mean: shift,
    standardDeviation: data.scale,
  });
  const epsilon = 1e-3 * data.scale ** 2;
  const affine = (seed: number, mean: number, on: boolean) =>
    on ? normalValues(channels, {seed, mean}) : new Float32Array(channels).fill(mean);
  const gammaValues = affine(data.seed + 1, 1, args.scale);
  const betaValues = affine(data.seed + 2, 0, args.center);
  const problem: Problem = {
    x,
    shape,
    axis,
    epsilon,
    gamma: gammaValues,
    beta: betaValues,
  };
  const {kwargs, layerArgs, shortcut, count} = vary(problem, data);

  const layer = resBatchNorm({axis, epsilon, ...args, ...layerArgs});
  const shapes = shortcut === null ? shape : [shape, shape];
  layer.build(shapes);
  const [gamma, beta] = [gammaValues, betaValues].map(values => tf.tensor1d(values));
  const statistics = [tf.zeros([channels]), tf.ones([channels])];
  layer.setWeights([
    ...(args.scale ? [gamma] : []),
    ...(args.center ? [beta] : []),
    ...statistics,
  ]);
  const input = tf.tensor(x, shape);
  const upstream = normalValues(size, {seed: data.seed + 3});
  const call = (x: tf.Tensor) =>
    layer.apply(shortcut === null ? x : [x, shortcut], {
      training: true,
      ...kwargs,
    }) as tf.Tensor;

  const y = call(input);
  expect(y.shape).toEqual(shape);
  if (size === 0) {
    expect(layer.updateCount).toBe(0);
    return;
  }
  const expected = trainingReference(problem);
  const [yValues, moving] = [
    await y.data(),
    await Promise.all(
      layer
        .getWeights()
        .slice(-2)
        .map(tensor => tensor.data()),
    ),
  ];
  const lost = 1e-6 * Math.abs(data.shift);
  await expect(yValues).toBeAllclose(expected.y, {rtol: 2e-5, atol: 2e-5 + 30 * lost});
  const {momentum} = args;
  const follow = (start: number, batch: number[]) =>
    batch.map(value => start * momentum + value * (1 - momentum));
  const bessel = data.variant === 'unbiased' && count > 1 ? count / (count - 1) : 1;
  await expect(moving[0]).toBeAllclose(follow(0, expected.mean), {
    rtol: 1e-5,
    atol: 1e-5 * data.scale + 1e-6 * Math.abs(shift),
  });
  await expect(moving[1]).toBeAllclose(
    follow(
      1,
      expected.variance.map(v => v * bessel),
    ),
    {
      rtol: 1e-4,
      atol: 1e-5 * data.scale ** 2 * (1 + data.shift ** 2 / 1000),
    },
  );
  // A kink within a step of the finite difference would be no fault of the gradient.
  if (data.variant === 'residual' && expected.y.some(value => Math.abs(value) < 1e-2))
    return;
  const dx = await tf.grad(call)(input, tf.tensor(upstream, shape)).data();
  const loss = (x: number[]) => dot(trainingReference({...problem, x}).y, upstream);
  const wanted = finiteDifferences(loss, x, 1e-4 * data.scale);
  const size1 = Math.max(1, ...wanted.map(value => Math.abs(value * data.scale)));
  await expect(Array.from(dx, value => value * data.scale)).toBeAllclose(
    wanted.map(value => value * data.scale),
    {rtol: 1e-3, atol: (1e-4 + 30 * lost) * size1},
  );
}

/** Makes the problem one of the case's variant; returns what the layer is to be told. */
function vary(problem: Problem, {seed, variant}: Pick<Case, 'seed' | 'variant'>) {
  const {axis} = problem;
  const shape = [...problem.shape];
  const size = sizeOf(shape);
  const random = normalValues(size + shape[0] + 1, {seed: seed + 4});
  const result = {
    kwargs: {} as Record<string, tf.Tensor>,
    layerArgs: {},
    shortcut: null as tf.Tensor | null,
    count: size / shape.at(axis)!,
  };
  const examples = Math.max(1, shape[0]);
  const perExample = size / examples;
  switch (variant) {
    case 'masked': {
      const maskShape = shape.slice(0, -1);
      const last = shape.at(-1)!;
      const mask = Float32Array.from({length: sizeOf(maskShape)}, (_, i) =>
        random[i] > -0.5 ? 1 : 0,
      );
      // Garbage of the size of the data lies under the mask.
      problem.weights = Float32Array.from(
        {length: size},
        (_, i) => mask[Math.floor(i / last)],
      );
      problem.weightOffset = 1e-7;
      result.kwargs.mask = tf.tensor(mask, maskShape);
      break;
    }
    case 'weighted': {
      const weights = Float32Array.from(
        {length: shape[0]},
        (_, i) => 0.1 + Math.abs(random[i]),
      );
      problem.weights = Float32Array.from(
        {length: size},
        (_, i) => weights[Math.floor(i / perExample)],
      );
      result.kwargs.batchWeights = tf.tensor1d(weights);
      break;
    }
    case 'ghost':
      if (shape[0] % 2 === 0 && shape[0] > 0) {
        problem.virtualBatchSize = shape[0] / 2;
        result.layerArgs = {virtualBatchSize: shape[0] / 2};
      }
      break;
    case 'residual':
      problem.shortcut = random.slice(0, size);
      problem.activation = z => Math.max(0, z);
      result.layerArgs = {activation: 'relu'};
      result.shortcut = tf.tensor(random.slice(0, size), shape);
      break;
    case 'unbiased':
      result.layerArgs = {unbiasedMovingVariance: true};
      break;
  }
  return result;
}
