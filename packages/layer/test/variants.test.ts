/** The variants of ResBatchNorm, each against what its peer does, computed by hand here. */
import {
  channelMoments,
  normalValues,
  trainingReference,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {isMaskedInGraph} from '../src/call.js';
import {collectUpdateOps, resBatchNorm, type ResBatchNorm} from '../src/index.js';

const exact = {rtol: 0, atol: 0};
const values = (shape: number[], options = {}) =>
  tf.tensor(
    normalValues(
      shape.reduce((a, b) => a * b, 1),
      options,
    ),
    shape,
  );

const train = (layer: ResBatchNorm, x: tf.Tensor | tf.Tensor[], kwargs = {}) =>
  layer.apply(x, {training: true, ...kwargs}) as tf.Tensor;
const infer = (layer: ResBatchNorm, x: tf.Tensor) => layer.apply(x) as tf.Tensor;

const weight = (layer: tfl.layers.Layer, name: string) =>
  layer.weights.find(({originalName}) => originalName.endsWith(`/${name}`))!.read();

const names = (layer: tfl.layers.Layer) =>
  layer.weights.map(({originalName}) => originalName.split('/')[1]);

/** y of the float64 reference, gamma 1 and beta 0. */
async function reference(x: tf.Tensor, more = {}) {
  const channels = x.shape.at(-1)!;
  return trainingReference({
    x: await x.data(),
    shape: x.shape,
    axis: -1,
    gamma: new Array(channels).fill(1),
    beta: new Array(channels).fill(0),
    epsilon: 1e-3,
    ...more,
  });
}

describe('momentum null: the average over all batches, as in PyTorch', () => {
  test('equals the mean of the passes, and counts them in a weight', async () => {
    const layer = resBatchNorm({momentum: null});
    const batches = [1, 2, 3].map(seed => values([6, 3], {seed, mean: 5 * seed}));
    const means: number[][] = [];
    const variances: number[][] = [];
    for (const x of batches) {
      train(layer, x);
      const {mean, variance} = channelMoments(await x.data(), [6, 3], -1);
      means.push(mean);
      variances.push(variance);
    }
    await expect(weight(layer, 'moving_mean')).toBeAllclose(tf.mean(tf.tensor(means), 0));
    await expect(weight(layer, 'moving_variance')).toBeAllclose(
      tf.mean(tf.tensor(variances), 0),
    );
    expect(names(layer)).toEqual([
      'gamma',
      'beta',
      'moving_mean',
      'moving_variance',
      'num_batches_tracked',
    ]);
    expect(weight(layer, 'num_batches_tracked').dtype).toBe('int32');
    await expect(weight(layer, 'num_batches_tracked')).toBeAllclose(3);
  });

  test('a batch that is skipped is not counted', async () => {
    const layer = resBatchNorm({momentum: null});
    train(layer, tf.fill([4, 2], NaN));
    await expect(weight(layer, 'num_batches_tracked')).toBeAllclose(0);
  });
});

describe('unbiasedMovingVariance', () => {
  test("is n/(n − 1) times the batch's, which is normalized with the biased one", async () => {
    const [biased, unbiased] = [
      resBatchNorm({momentum: 0}),
      resBatchNorm({momentum: 0, unbiasedMovingVariance: true}),
    ];
    const x = values([3, 2, 4]);
    await expect(train(unbiased, x)).toBeAllclose(train(biased, x), exact);
    await expect(weight(unbiased, 'moving_variance')).toBeAllclose(
      tf.mul(weight(biased, 'moving_variance'), 6 / 5),
    );
  });

  test('of one value is 0', async () => {
    const layer = resBatchNorm({momentum: 0, unbiasedMovingVariance: true});
    train(layer, values([1, 3]));
    await expect(weight(layer, 'moving_variance')).toBeAllclose([0, 0, 0]);
  });

  test('counts the values that a mask leaves', async () => {
    const layer = resBatchNorm({momentum: 0, unbiasedMovingVariance: true});
    const x = tf.tensor3d([[[1], [3], [100]]]);
    train(layer, x, {mask: tf.tensor2d([[1, 1, 0]])});
    await expect(weight(layer, 'moving_variance')).toBeAllclose([2]);
  });
});

describe('trackMovingStatistics: false', () => {
  test('uses the batch in both phases, and has no moving weights', async () => {
    const layer = resBatchNorm({trackMovingStatistics: false});
    const x = values([6, 3], {mean: 3});
    const {y} = await reference(x);
    await expect(train(layer, x)).toBeAllclose(y, {atol: 1e-5});
    await expect(infer(layer, x)).toBeAllclose(y, {atol: 1e-5});
    expect(names(layer)).toEqual(['gamma', 'beta']);
    expect(layer.updateOpCount).toBe(0);
    expect(await layer.readSkippedUpdateCount()).toBe(0);
  });

  test('frozen as well', async () => {
    const layer = resBatchNorm({trackMovingStatistics: false, trainable: false});
    const x = values([6, 3], {mean: 3});
    await expect(train(layer, x)).toBeAllclose((await reference(x)).y, {atol: 1e-5});
  });
});

describe('renorm, as in Keras 3', () => {
  test('has its weights after moving_variance, at what the initializers say', async () => {
    const layer = resBatchNorm({
      renorm: true,
      movingMeanInitializer: 'ones',
      movingVarianceInitializer: tfl.initializers.constant({value: 4}),
    });
    infer(layer, values([2, 1]));
    expect(names(layer)).toEqual([
      'gamma',
      'beta',
      'moving_mean',
      'moving_variance',
      'moving_stddev',
      'renorm_mean',
      'renorm_stddev',
    ]);
    await expect(tf.concat(layer.getWeights())).toBeAllclose([1, 0, 1, 4, 2, 1, 2]);
  });

  test.each([
    {clipping: null},
    {clipping: {rmax: 1.5, rmin: 0.8, dmax: 0.25}},
    {clipping: {rmax: Infinity, dmax: 0}},
  ])('five steps by hand, clipping $clipping', async ({clipping}) => {
    const [momentum, renormMomentum, epsilon] = [0.9, 0.75, 1e-3];
    const layer = resBatchNorm({renorm: true, renormClipping: clipping, renormMomentum});
    let [movingMean, movingStddev, renormMean, renormStddev] = [0, 1, 0, 1];
    const follow = (moving: number, batch: number, k: number) =>
      moving * k + batch * (1 - k);
    for (let step = 1; step <= 5; ++step) {
      const x = values([8, 1], {seed: step, mean: step, standardDeviation: 2});
      const moments = channelMoments(await x.data(), [8, 1], 1);
      const [mean, stddev] = [moments.mean[0], Math.sqrt(moments.variance[0] + epsilon)];
      const divisor = Math.max(renormStddev, Math.sqrt(epsilon));
      const {rmin = 0, rmax = Infinity, dmax = Infinity} = clipping ?? ({} as never);
      const r = Math.min(Math.max(stddev / divisor, rmin), rmax);
      const d = Math.min(Math.max((mean - renormMean) / divisor, -dmax), dmax);
      const {y} = await reference(x, {correction: {r: [r], d: [d]}});
      await expect(train(layer, x)).toBeAllclose(y, {rtol: 1e-5, atol: 1e-5});
      movingMean = follow(movingMean, mean, momentum);
      movingStddev = follow(movingStddev, stddev, momentum);
      renormMean = follow(renormMean, mean, renormMomentum);
      renormStddev = follow(renormStddev, stddev, renormMomentum);
      await expect(tf.concat(layer.getWeights().slice(2))).toBeAllclose([
        movingMean,
        movingStddev ** 2 - epsilon,
        movingStddev,
        renormMean,
        renormStddev,
      ]);
    }
  });

  test('inference is that of a layer without, with the same statistics', async () => {
    const [plain, renormed] = [resBatchNorm(), resBatchNorm({renorm: true})];
    const x = values([8, 3], {mean: 2});
    train(renormed, x);
    plain.build([null, 3]);
    plain.setWeights(renormed.getWeights().slice(0, 4));
    await expect(infer(renormed, x)).toBeAllclose(infer(plain, x), exact);
  });
});

describe('virtualBatchSize', () => {
  test.each([[[8, 3]], [[8, 2, 2, 3]]])('shape %j: each part alone', async shape => {
    const layer = resBatchNorm({virtualBatchSize: 4, momentum: 0});
    const x = values(shape, {mean: 2});
    const expected = await reference(x, {virtualBatchSize: 4});
    await expect(train(layer, x)).toBeAllclose(expected.y, {atol: 1e-5});
    await expect(weight(layer, 'moving_mean')).toBeAllclose(expected.mean);
    await expect(weight(layer, 'moving_variance')).toBeAllclose(expected.variance);
  });

  test('of the whole batch is no different from none', async () => {
    const x = values([4, 3]);
    await expect(train(resBatchNorm({virtualBatchSize: 4}), x)).toBeAllclose(
      train(resBatchNorm(), x),
      exact,
    );
  });

  test('does not matter in inference mode, where any batch will do', async () => {
    const layer = resBatchNorm({virtualBatchSize: 4});
    const x = values([3, 2]);
    await expect(infer(layer, x)).toBeAllclose(infer(resBatchNorm(), x), exact);
  });
});

test('zeroDebiasMovingMean: right from the first step on', async () => {
  const layer = resBatchNorm({zeroDebiasMovingMean: true, momentum: 0.9});
  let biased = 0;
  for (let step = 1; step <= 4; ++step) {
    const x = values([6, 1], {seed: step, mean: 7});
    train(layer, x);
    const {mean} = channelMoments(await x.data(), [6, 1], 1);
    biased = biased * 0.9 + mean[0] * 0.1;
    await expect(weight(layer, 'moving_mean')).toBeAllclose([biased / (1 - 0.9 ** step)]);
  }
  expect(names(layer).slice(4)).toEqual(['moving_mean_biased', 'moving_mean_local_step']);
  await expect(weight(layer, 'moving_mean_local_step')).toBeAllclose(4);
});

describe('adjustment', () => {
  test('applies to the normalized value in training only', async () => {
    const shapes: number[][] = [];
    const layer = resBatchNorm({
      gammaInitializer: tfl.initializers.constant({value: 3}),
      betaInitializer: 'ones',
      adjustment: shape => {
        shapes.push(shape);
        return [tf.tensor1d([1.5, 0.5]), tf.tensor1d([0.25, -1])];
      },
    });
    const plain = resBatchNorm();
    const x = values([5, 2]);
    const adjusted = tf.add(tf.mul(train(plain, x), [1.5, 0.5]), [0.25, -1]);
    await expect(train(layer, x)).toBeAllclose(tf.add(tf.mul(adjusted, 3), 1), {
      atol: 1e-5,
    });
    expect(shapes).toEqual([[5, 2]]);
    infer(layer, x);
    expect(shapes).toHaveLength(1);
  });

  test('can not be saved, and saving says so', () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation();
    const layer = resBatchNorm({
      name: 'bn',
      adjustment: () => [tf.scalar(1), tf.scalar(0)],
    });
    expect(layer.getConfig()).not.toHaveProperty('adjustment');
    resBatchNorm().getConfig();
    expect(warn.mock.calls).toEqual([
      [
        "ResBatchNorm 'bn': the adjustment is a function, which can't be saved. A layer that is " +
          'loaded from this has none: it predicts alike, and trains without it.',
      ],
    ]);
    warn.mockRestore();
  });
});

describe('a mask', () => {
  test.each([
    [
      'fractions',
      [
        [0.5, 0.5, 0],
        [0.5, 0, 0],
      ],
    ],
    [
      '256, whose last byte is 0',
      [
        [256, 256, 0],
        [256, 0, 0],
      ],
    ],
    [
      '3',
      [
        [3, 3, 0],
        [3, 0, 0],
      ],
    ],
  ] as [string, number[][]][])(
    'of other values than 0 and 1: %s',
    async (_name, values) => {
      const x = tf.tensor3d([1, 2, 30, 4, 50, 60], [2, 3, 1]);
      const masks = [
        tf.tensor2d(values),
        tf.cast(
          tf.tensor2d([
            [3, 3, 0],
            [3, 0, 0],
          ]),
          'bool',
        ),
      ];
      for (const mask of masks) {
        const layer = resBatchNorm({momentum: 0});
        train(layer, x, {mask});
        await expect(layer.getWeights()[2]).toBeAllclose([7 / 3], {rtol: 1e-4});
      }
    },
  );

  const x = () =>
    tf.tensor3d([
      [[1], [2], [NaN]],
      [[4], [5], [Infinity]],
    ]);
  const mask = () =>
    tf.tensor2d([
      [1, 1, 0],
      [1, 1, 0],
    ]);

  test('leaves positions out of the moments, and nothing under it spreads', async () => {
    const layer = resBatchNorm({momentum: 0});
    const y = await train(layer, x(), {mask: mask()}).data();
    await expect(weight(layer, 'moving_mean')).toBeAllclose([3]);
    await expect(weight(layer, 'moving_variance')).toBeAllclose([2.5]);
    const r = 1 / Math.sqrt(2.5 + 1e-3);
    await expect([y[0], y[1], y[3], y[4]]).toBeAllclose([-2 * r, -r, r, 2 * r]);
    const [dx, dgamma] = tf.grads((x: tf.Tensor, gamma: tf.Tensor) => {
      const y = tf.mul(train(layer, x, {mask: mask()}), tf.expandDims(mask(), -1));
      return tf.mul(tf.sum(tf.square(y)), tf.sum(gamma));
    })([x(), tf.ones([1])]);
    expect(Array.from(await dx.data()).every(Number.isFinite)).toBe(true);
    expect(Array.from(await dgamma.data()).every(Number.isFinite)).toBe(true);
  });

  test('of ones is no different from none, but for 1e-7 in the count', async () => {
    const x = values([4, 5, 3]);
    await expect(train(resBatchNorm(), x, {mask: tf.ones([4, 5])})).toBeAllclose(
      train(resBatchNorm(), x),
      {atol: 1e-5},
    );
  });

  test('of zeros gives mean 0', async () => {
    const layer = resBatchNorm({momentum: 0});
    train(layer, values([4, 5, 3]), {mask: tf.zeros([4, 5])});
    await expect(weight(layer, 'moving_mean')).toBeAllclose([0, 0, 0]);
    await expect(weight(layer, 'moving_variance')).toBeAllclose([0, 0, 0]);
  });

  const padded = () =>
    tf.tensor3d([
      [
        [1, 2],
        [3, 4],
        [0, 0],
      ],
      [
        [5, 6],
        [0, 0],
        [0, 0],
      ],
    ]);

  test('of a Masking layer upstream is used', async () => {
    const layer = resBatchNorm({momentum: 0});
    const model = tfl.sequential({
      layers: [tfl.layers.masking({maskValue: 0, inputShape: [3, 2]}), layer],
    });
    model.apply(padded(), {training: true});
    await expect(weight(layer, 'moving_mean')).toBeAllclose([3, 4]);
  });

  test('of another layer is not used, whatever its shape', async () => {
    const [before, after] = [resBatchNorm({momentum: 0}), resBatchNorm({momentum: 0})];
    const input = tfl.input({shape: [3, 2]});
    const masked = tfl.layers.masking({maskValue: 0}).apply(input);
    const normed = before.apply(masked) as tfl.SymbolicTensor;
    // A convolution does not pass the mask on, nor does tfjs-layers take it back.
    const conv = tfl.layers.conv1d({
      filters: 2,
      kernelSize: 1,
      kernelInitializer: 'ones',
    });
    const output = after.apply(conv.apply(normed)) as tfl.SymbolicTensor;
    const model = tfl.model({inputs: input, outputs: [normed, output]});
    const [y, z] = model.apply(padded(), {training: true}) as tf.Tensor[];
    await expect(weight(before, 'moving_mean')).toBeAllclose([3, 4]);
    await expect(weight(after, 'moving_mean')).toBeAllclose(
      tf.mul(tf.ones([2]), tf.mean(tf.sum(y, -1))),
      {atol: 1e-5},
    );
    expect(z.shape).toEqual([2, 3, 2]);
  });

  test.each([true, false])(
    'of a recurrent layer, returnSequences %s',
    returnSequences => {
      const layer = resBatchNorm();
      tfl.sequential({
        layers: [
          tfl.layers.masking({inputShape: [3, 2]}),
          tfl.layers.simpleRNN({
            units: 2,
            recurrentInitializer: 'zeros',
            returnSequences,
          }),
          layer,
        ],
      });
      // One that returns its last output has used the mask up.
      expect(isMaskedInGraph(layer)).toBe(returnSequences);
    },
  );
});

test('batchWeights: the weighted moments of tf.contrib', async () => {
  const layer = resBatchNorm({momentum: 0});
  const x = tf.tensor2d([[1], [3], [100]]);
  train(layer, x, {batchWeights: tf.tensor1d([3, 1, 0])});
  await expect(weight(layer, 'moving_mean')).toBeAllclose([1.5]);
  await expect(weight(layer, 'moving_variance')).toBeAllclose([0.75]);
});

describe('[x, shortcut] and activation', () => {
  const [x, shortcut, upstream] = [1, 2, 3].map(seed => normalValues(24, {seed}));
  const activations = ['linear', 'relu', 'relu6', 'tanh', 'elu', 'hardSigmoid'] as const;

  test.each(activations)('%s of the sum, gradients included', async activation => {
    const inputs = [tf.tensor(x, [4, 2, 3]), tf.tensor(shortcut, [4, 2, 3])];
    const fused = resBatchNorm({activation});
    const plain = resBatchNorm();
    const activate = tfl.layers.activation({activation});
    const composed = (x: tf.Tensor, shortcut: tf.Tensor) =>
      activate.apply(tf.add(train(plain, x), shortcut)) as tf.Tensor;
    await expect(train(fused, inputs)).toBeAllclose(composed(inputs[0], inputs[1]));
    const dy = tf.tensor(upstream, [4, 2, 3]);
    const gradients = tf.grads((x, shortcut) => train(fused, [x, shortcut]))(inputs, dy);
    const expected = tf.grads(composed)(inputs, dy);
    await expect(gradients[0]).toBeAllclose(expected[0]);
    await expect(gradients[1]).toBeAllclose(expected[1]);
  });

  test('in a model, in both phases, and after a round trip', async () => {
    const input = tfl.input({shape: [4]});
    const dense = tfl.layers.dense({units: 4}).apply(input) as tfl.SymbolicTensor;
    const layer = resBatchNorm({activation: 'relu6'});
    const output = layer.apply([dense, input]) as tfl.SymbolicTensor;
    expect(output.shape).toEqual([null, 4]);
    const model = tfl.model({inputs: input, outputs: output});
    model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    await model.fit(values([8, 4]), values([8, 4]), {verbose: 0});
    expect(layer.updateCount).toBe(1);
    let saved: tf.io.ModelArtifacts;
    await model.save(
      tf.io.withSaveHandler(async artifacts => {
        saved = artifacts;
        return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
      }),
    );
    const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved!));
    const x = values([3, 4], {seed: 5});
    const predicted = model.predict(x) as tf.Tensor;
    await expect(loaded.predict(x) as tf.Tensor).toBeAllclose(predicted, exact);
    expect((await tf.min(predicted).data())[0]).toBeGreaterThanOrEqual(0);
  });
});

const variants = {
  cumulative: {momentum: null},
  unbiased: {unbiasedMovingVariance: true},
  untracked: {trackMovingStatistics: false},
  renorm: {renorm: true, renormClipping: {rmin: 0.5, rmax: Infinity, dmax: 5}},
  'renorm unclipped': {renorm: true, renormMomentum: 0.5},
  ghost: {virtualBatchSize: 2},
  'zero-debiased': {zeroDebiasMovingMean: true},
  activated: {activation: 'relu6' as const},
};

describe.each(Object.entries(variants))('%s', (_, args) => {
  test('survives JSON', () => {
    const layer = resBatchNorm({...args, inputShape: [3]});
    const topology = JSON.parse(tfl.sequential({layers: [layer]}).toJSON() as string);
    const loaded = tfl.sequential();
    loaded.add(
      resBatchNorm({...JSON.parse(JSON.stringify(layer.getConfig())), inputShape: [3]}),
    );
    expect(loaded.layers[0].getConfig()).toEqual(layer.getConfig());
    expect(JSON.stringify(topology)).toContain('ResBatchNorm');
  });

  test('collected equals in place', async () => {
    const [inPlace, collected] = [resBatchNorm(args), resBatchNorm(args)];
    for (const seed of [1, 2]) {
      const x = values([4, 3], {seed, mean: seed});
      const y = train(inPlace, x);
      const {result, updateOps} = collectUpdateOps(() => train(collected, x));
      updateOps.run();
      await expect(result).toBeAllclose(y, exact);
    }
    for (const [i, tensor] of collected.getWeights().entries()) {
      await expect(tensor).toBeAllclose(inPlace.getWeights()[i], exact);
    }
  });

  test('frozen: the weights stay, and the mode is inference', async () => {
    const layer = resBatchNorm(args);
    train(layer, values([4, 3], {mean: 3}));
    const before = layer.getWeights().map(tensor => tensor.clone());
    layer.trainable = false;
    const x = values([4, 3], {seed: 8});
    await expect(train(layer, x)).toBeAllclose(infer(layer, x), exact);
    for (const [i, tensor] of layer.getWeights().entries()) {
      await expect(tensor).toBeAllclose(before[i], exact);
    }
  });

  test('leaks nothing, also when the call is refused', () => {
    const layer = resBatchNorm(args);
    const x = values([4, 3]);
    const wrong = {mask: tf.ones([4, 4])};
    const step = () => tf.dispose(tf.grad(x => tf.sum(train(layer, x)))(x));
    step();
    const before = tf.memory().numTensors;
    for (let i = 0; i < 5; ++i) step();
    expect(() => train(layer, x, wrong)).toThrow('the mask must have the shape');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('wrong calls are refused by name', () => {
  const x = () => values([6, 2, 3]);
  test.each<[string, (layer: ResBatchNorm) => unknown, object]>([
    [
      'the mask must have the shape of the input less its last dimension, [6,2]. Received: [6]',
      layer => train(layer, x(), {mask: tf.ones([6])}),
      {},
    ],
    [
      'batchWeights must be of shape [6], one an example. Received: [2]',
      layer => train(layer, x(), {batchWeights: tf.ones([2])}),
      {},
    ],
    [
      'virtualBatchSize, 4, must divide the number of examples in the batch. Received: 6',
      layer => train(layer, x()),
      {virtualBatchSize: 4},
    ],
    [
      "virtualBatchSize can't be used with a mask. Received: [6,2]",
      layer => train(layer, x(), {mask: tf.ones([6, 2])}),
      {virtualBatchSize: 2},
    ],
    [
      "virtualBatchSize can't be used with batchWeights. Received: [6]",
      layer => train(layer, x(), {batchWeights: tf.ones([6])}),
      {virtualBatchSize: 2},
    ],
    [
      'x and the shortcut must be of the same shape. Received: input shape [[6,2,3],[6,3,3]]',
      layer => train(layer, [x(), values([6, 3, 3])]),
      {},
    ],
    [
      'the inputs must be one tensor, or two: [x, shortcut]. Received: input shape [[6,2,3],[6,2,3],[6,2,3]]',
      layer => train(layer, [x(), x(), x()]),
      {},
    ],
  ])('%s', (message, call, args) => {
    const layer = resBatchNorm({...args, name: 'bn'});
    expect(() => call(layer)).toThrow(
      expect.objectContaining({
        name: 'ValueError',
        message: `ResBatchNorm 'bn': ${message}`,
      }),
    );
  });

  test('a shortcut of another batch than the input', () => {
    const layer = resBatchNorm({name: 'bn'});
    layer.apply([tfl.input({shape: [3]}), tfl.input({shape: [3]})]);
    expect(() => train(layer, [values([4, 3]), values([2, 3])])).toThrow(
      "ResBatchNorm 'bn': the shortcut must have the shape of the input, [4,3]. Received: [2,3]",
    );
  });
});
