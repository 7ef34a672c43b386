/**
 * Gradients against finite differences of the float64 reference, for every scale, center,
 * axis, phase and variant.
 */
import {
  dot,
  finiteDifferences,
  inferenceReference,
  normalValues,
  type Problem,
  trainingReference,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {collectUpdateOps, resBatchNorm, type ResBatchNormArgs} from '../src/index.js';

const shape = [4, 3, 2, 3];
const size = 72;
const epsilon = 1e-3;
/** Of the layer before the call; renorm's are the square root of the variance. */
const statistics = {mean: [0.5, -0.5, 1], variance: [0.5, 1, 2]};

interface Setting {
  args: ResBatchNormArgs;
  problem: Partial<Problem>;
  mask?: tf.Tensor;
  shortcut?: Float32Array;
}

/** The mask leaves the third of the four examples out. */
const kept = (i: number) => (Math.floor(i / (size / 4)) === 2 ? 0 : 1);

const settings: Record<string, () => Setting> = {
  plain: () => ({args: {}, problem: {}}),
  renorm: () => ({
    args: {renorm: true, renormClipping: {rmax: 1.5, dmax: 0.5}},
    problem: {},
  }),
  ghost: () => ({args: {virtualBatchSize: 2}, problem: {virtualBatchSize: 2}}),
  masked: () => ({
    args: {},
    problem: {
      weights: Float32Array.from({length: size}, (_, i) => kept(i)),
      weightOffset: 1e-7,
    },
    mask: tf.tensor(
      Array.from({length: size / 3}, (_, i) => kept(3 * i)),
      shape.slice(0, -1),
    ),
  }),
  'residual + relu': () => {
    const shortcut = normalValues(size, {seed: 6, mean: 0.3});
    return {
      args: {activation: 'relu'},
      problem: {shortcut, activation: z => Math.max(z, 0)},
      shortcut,
    };
  },
};

const grid = [true, false].flatMap(scale =>
  [true, false].flatMap(center =>
    [1, 2, 3, -1, -2, -3].flatMap(axis => ({scale, center, axis})),
  ),
);

describe.each(Object.entries(settings))('%s', (_, makeSetting) => {
  describe.each(['training', 'frozen'])('%s', phase => {
    test.each(grid)('scale $scale, center $center, axis $axis', async options => {
      const {axis, scale, center} = options;
      const {args, problem, mask, shortcut} = makeSetting();
      const n = shape.at(axis)!;
      const gamma = scale
        ? normalValues(n, {seed: 2, mean: 1})
        : new Float32Array(n).fill(1);
      const beta = center ? normalValues(n, {seed: 3}) : new Float32Array(n);
      const x = normalValues(size, {seed: 7, mean: 0.5});
      const upstream = normalValues(size, {seed: 4});
      const full: Problem = {x, shape, axis, gamma, beta, epsilon, ...problem};

      const layer = resBatchNorm({...args, ...options, epsilon});
      layer.build(shortcut === undefined ? shape : [shape, shape]);
      const {mean, variance} = {
        mean: statistics.mean.slice(0, n),
        variance: statistics.variance.slice(0, n),
      };
      const stddev = variance.map(Math.sqrt);
      const weights = [
        ...(scale ? [gamma] : []),
        ...(center ? [beta] : []),
        mean,
        variance,
        ...(args.renorm ? [stddev, mean, stddev] : []),
      ];
      layer.setWeights(weights.map(values => tf.tensor1d(values)));
      layer.trainable = phase === 'training';
      if (args.renorm) {
        // The correction is a constant in the gradient.
        const batch = trainingReference(full);
        const sigma = batch.variance.map(v => Math.sqrt(v + epsilon));
        full.correction =
          phase === 'training'
            ? {
                r: sigma.map((s, c) => Math.min(1.5, s / stddev[c])),
                d: batch.mean.map((m, c) =>
                  Math.max(-0.5, Math.min(0.5, (m - mean[c]) / stddev[c])),
                ),
              }
            : undefined;
      }
      const reference = (change: object) =>
        phase === 'training'
          ? trainingReference({...full, ...change}).y
          : inferenceReference({...full, ...change}, {mean, variance}).y;
      const loss = (change: object) => dot(reference(change), upstream);

      const inputs = [tf.tensor(x, shape)];
      if (shortcut !== undefined) inputs.push(tf.tensor(shortcut, shape));
      const kwargs = {training: true, mask};
      // The statistics stay, so that each call is of the same function.
      const call = (...inputs: tf.Tensor[]) => {
        const {result, updateOps} = collectUpdateOps(
          () =>
            layer.apply(inputs.length === 1 ? inputs[0] : inputs, kwargs) as tf.Tensor,
        );
        updateOps.dispose();
        return result;
      };
      const dy = tf.tensor(upstream, shape);
      const tolerance = {rtol: 1e-3, atol: 1e-4};
      await expect(call(...inputs)).toBeAllclose(reference({}), {rtol: 1e-5, atol: 1e-5});
      const [dx, dShortcut] = tf.grads(call)(inputs, dy);
      await expect(dx).toBeAllclose(
        finiteDifferences(x => loss({x}), x),
        tolerance,
      );
      if (shortcut !== undefined) {
        const expected = finiteDifferences(shortcut => loss({shortcut}), shortcut);
        await expect(dShortcut).toBeAllclose(expected, tolerance);
      }

      // Frozen variables have a gradient only if they are asked for it.
      const variables = layer.weights
        .filter(({originalName}) => /\/(gamma|beta)$/.test(originalName))
        .map(weight => weight.read() as tf.Variable);
      if (variables.length === 0) return;
      const {grads} = tf.variableGrads(
        () => tf.sum(tf.mul(call(...inputs), dy)) as tf.Scalar,
        variables,
      );
      const wanted = {
        gamma: finiteDifferences(gamma => loss({gamma}), gamma),
        beta: finiteDifferences(beta => loss({beta}), beta),
      };
      for (const variable of variables) {
        const key = variable.name.includes('/gamma') ? 'gamma' : 'beta';
        await expect(grads[variable.name]).toBeAllclose(wanted[key], tolerance);
      }
    });
  });
});
