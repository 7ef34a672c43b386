/**
 * Tests of other batch norms that none of the other files here has a counterpart of;
 * docs/peers_tests.md lists them all.
 */
import {
  channelMoments,
  channelOfEach,
  normalValues,
  trainingReference,
} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  batchNormTraining,
  collectUpdateOps,
  ResBatchNorm,
  resBatchNorm,
  type ResBatchNormArgs,
} from '../src/index.js';

const exact = {rtol: 0, atol: 0};
const close = {rtol: 1e-4, atol: 1e-4};

const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
const values = (shape: number[], options = {}) =>
  tf.tensor(normalValues(sizeOf(shape), options), shape);

/** A batch whose channels differ in mean and in spread, so that a mixed-up axis shows. */
function distinctChannels(shape: number[], axis: number, mean: number): tf.Tensor {
  const channels = channelOfEach(shape, axis);
  const x = normalValues(sizeOf(shape)).map(
    (value, i) => value * (1 + channels[i]) + mean * (1 + channels[i]),
  );
  return tf.tensor(x, shape);
}

const train = (layer: ResBatchNorm, x: tf.Tensor, kwargs = {}) =>
  layer.apply(x, {training: true, ...kwargs}) as tf.Tensor;
const infer = (layer: ResBatchNorm, x: tf.Tensor) => layer.apply(x) as tf.Tensor;

/** 'batch_norm/moving_mean' → 'moving_mean'. */
const nameOf = (weight: tfl.LayerVariable) => weight.originalName.split('/').at(-1)!;

const weight = (layer: tfl.layers.Layer, name: string) =>
  layer.weights.find(variable => nameOf(variable) === name)!.read();

const copyWeights = (layer: tfl.layers.Layer) =>
  layer.getWeights().map(tensor => tensor.clone());

async function expectWeights(layer: tfl.layers.Layer, expected: tf.Tensor[]) {
  for (const [i, tensor] of layer.getWeights().entries()) {
    await expect(tensor).toBeAllclose(expected[i], exact);
  }
}

/** Mean 0 and variance 1 in each channel. */
async function expectNormalized(y: tf.Tensor, axis: number) {
  const {mean, variance} = channelMoments(await y.data(), y.shape, axis);
  await expect(mean).toBeAllclose(new Array(mean.length).fill(0), {atol: 1e-3});
  await expect(variance).toBeAllclose(new Array(mean.length).fill(1), {atol: 2e-3});
}

async function expectStatisticsOf(layer: ResBatchNorm, x: tf.Tensor, axis: number) {
  const {mean, variance} = channelMoments(await x.data(), x.shape, axis);
  await expect(weight(layer, 'moving_mean')).toBeAllclose(mean, close);
  await expect(weight(layer, 'moving_variance')).toBeAllclose(variance, close);
}

async function saved(model: tfl.LayersModel): Promise<tf.io.IOHandler> {
  let artifacts: tf.io.ModelArtifacts;
  await model.save(
    tf.io.withSaveHandler(async given => {
      const modelTopology = JSON.parse(JSON.stringify(given.modelTopology));
      artifacts = {...given, modelTopology};
      return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
    }),
  );
  return tf.io.fromMemory(artifacts!);
}

describe('Keras 3', () => {
  const initial = ['zeros', 'ones'] as const;
  const grid = [-1, 1].flatMap(axis =>
    [
      [5, 2, 3],
      [5, 3, 3, 2],
    ].flatMap(shape =>
      initial.flatMap(mean =>
        initial.map(variance => ({axis, rank: shape.length, shape, mean, variance})),
      ),
    ),
  );

  test.each(grid)(
    'correctness: axis $axis, rank $rank, moving mean $mean, moving variance $variance',
    async ({axis, shape, mean, variance}) => {
      const layer = resBatchNorm({
        axis,
        momentum: 0,
        movingMeanInitializer: mean,
        movingVarianceInitializer: variance,
      });
      const x = values(shape, {mean: 5, standardDeviation: 10});
      let y = x;
      for (let i = 0; i < 3; ++i) y = train(layer, y);
      await expectNormalized(y, axis);
      const ofNormalized = infer(layer, x);
      const trained = train(layer, x);
      await expect(ofNormalized).not.toBeAllclose(trained, {atol: 0.1});
      await expect(infer(layer, x)).toBeAllclose(trained, {rtol: 1e-5, atol: 1e-5});

      // Keras masks a position of each example by a Masking layer; here it is given.
      const maskShape = shape.slice(0, -1);
      const perExample = sizeOf(maskShape) / shape[0];
      const mask = tf.tensor(
        Array.from({length: sizeOf(maskShape)}, (_, i) => (i < perExample ? 0 : 1)),
        maskShape,
      );
      const inferred = layer.apply(x, {mask}) as tf.Tensor;
      await expect(inferred).toBeAllclose(infer(layer, x), exact);
      await expect(train(layer, x, {mask})).not.toBeAllclose(trained, {atol: 1e-3});
    },
  );

  test.each([0, 0.1, 1])(
    'masked values are left out of the statistics in fit, mask value %p',
    async maskValue => {
      const padded = [
        [1, 5],
        [2, 5],
        [maskValue, maskValue],
        [maskValue, maskValue],
      ];
      const x = tf.tensor3d(new Array<number[][]>(10).fill(padded));
      const layer = resBatchNorm({momentum: 0});
      const model = tfl.sequential({
        layers: [tfl.layers.masking({maskValue, inputShape: [4, 2]}), layer],
      });
      model.compile({optimizer: 'rmsprop', loss: 'meanSquaredError'});
      await model.fit(x, x, {batchSize: 10, epochs: 5, verbose: 0});
      await expect(weight(layer, 'moving_mean')).toBeAllclose([1.5, 5]);
      await expect(weight(layer, 'moving_variance')).toBeAllclose([0.25, 0]);
    },
  );

  test('trainable decides on the mode and on which weights are trained', async () => {
    const layer = resBatchNorm({momentum: 0.8, epsilon: 1e-7});
    layer.build([null, 4, 4, 3]);
    const counts = () => [
      layer.weights.length,
      layer.trainableWeights.length,
      layer.nonTrainableWeights.length,
    ];
    const x = values([20, 4, 4, 3], {mean: 5, standardDeviation: 10});
    layer.trainable = false;
    expect(counts()).toEqual([4, 0, 4]);
    await expect(train(layer, x)).toBeAllclose(x);
    layer.trainable = true;
    expect(counts()).toEqual([4, 2, 2]);
    await expectNormalized(train(layer, x), -1);
  });

  test.each([70000, 1e30])(
    'a moving variance of %p, too large for float16, is kept and used',
    async variance => {
      const layer = resBatchNorm({center: false, scale: false});
      layer.build([null, 2]);
      layer.setWeights([tf.zeros([2]), tf.fill([2], variance)]);
      await expect(weight(layer, 'moving_variance')).toBeAllclose([variance, variance]);
      const x = tf.fill([1, 2], Math.sqrt(variance));
      await expect(infer(layer, x)).toBeAllclose([1, 1]);
    },
  );

  test('a mask to be broadcast is refused; spelled out, it gives what Keras gives', async () => {
    const layer = resBatchNorm({name: 'bn', momentum: 0});
    const x = tf.ones([1, 2, 3, 4]);
    expect(() => train(layer, x, {mask: tf.ones([1, 2, 1])})).toThrow(
      "ResBatchNorm 'bn': the mask must have the shape of the input less its last " +
        'dimension, [1,2,3]. Received: [1,2,1]',
    );
    const mask = tf.broadcastTo(tf.ones([1, 2, 1]), [1, 2, 3]);
    await expect(train(layer, x, {mask})).toBeAllclose(tf.zeros([1, 2, 3, 4]));
    await expect(weight(layer, 'moving_mean')).toBeAllclose([1, 1, 1, 1]);
    await expect(weight(layer, 'moving_variance')).toBeAllclose([0, 0, 0, 0]);
  });
});

describe('tf.layers', () => {
  const inputs = [
    {shape: [5, 4, 3], axes: [1, 2, -1, -2]},
    {shape: [5, 4, 3, 6], axes: [1, 2, 3, -1, -2, -3]},
  ];
  const grid = inputs.flatMap(({shape, axes}) =>
    axes.map(axis => ({rank: shape.length, shape, axis})),
  );

  test.each(grid)(
    'rank $rank, axis $axis: both phases normalize, far from 0',
    async ({shape, axis}) => {
      const layer = resBatchNorm({axis, momentum: 0.5});
      const x = distinctChannels(shape, axis, 20);
      for (let i = 0; i < 30; ++i) await expectNormalized(train(layer, x), axis);
      await expectStatisticsOf(layer, x, axis);
      await expectNormalized(infer(layer, x), axis);
    },
  );

  test('functional reuse: two inputs, one set of weights, two updates in turn', async () => {
    const layer = resBatchNorm({momentum: 0.5});
    const [a, b] = [tfl.input({shape: [3]}), tfl.input({shape: [3]})];
    const outputs = [a, b].map(input => layer.apply(input) as tfl.SymbolicTensor);
    const model = tfl.model({inputs: [a, b], outputs});
    expect(model.weights).toHaveLength(4);

    const [x1, x2] = [values([6, 3], {seed: 1, mean: 4}), values([6, 3], {seed: 2})];
    model.apply([x1, x2], {training: true});
    const [m1, m2] = [x1, x2].map(x => tf.mean(x, 0));
    await expect(weight(layer, 'moving_mean')).toBeAllclose(
      tf.add(tf.mul(m1, 0.25), tf.mul(m2, 0.5)),
      {atol: 1e-5},
    );
    const [y1, y2] = model.predict([x1, x2]) as tf.Tensor[];
    await expect(y1).toBeAllclose(infer(layer, x1), exact);
    await expect(y2).toBeAllclose(infer(layer, x2), exact);
  });

  test('renorm without clipping and with one momentum: training is inference', async () => {
    const layer = resBatchNorm({renorm: true, momentum: 0.8, renormMomentum: 0.8});
    train(layer, values([6, 3], {mean: 2}));
    for (const seed of [2, 3, 4]) {
      const x = values([6, 3], {seed, mean: seed, standardDeviation: 2});
      const inferred = infer(layer, x);
      // Before the first step √(moving variance + epsilon) is not the moving deviation.
      await expect(train(layer, x)).toBeAllclose(inferred, {rtol: 1e-4, atol: 1e-4});
    }
  });
});

describe('contrib and tf_slim', () => {
  const kinds = [
    {layout: 'NHWC', axis: -1, shape: [10, 2, 2, 3]},
    {layout: 'NCHW', axis: 1, shape: [10, 3, 2, 2]},
  ].flatMap(kind =>
    [false, true].map(zeroDebiasMovingMean => ({...kind, zeroDebiasMovingMean})),
  );

  describe.each(kinds)('$layout, zero-debiased $zeroDebiasMovingMean', kind => {
    const {axis, shape, zeroDebiasMovingMean} = kind;
    const make = () => resBatchNorm({axis, zeroDebiasMovingMean, momentum: 0.1});
    const batch = (mean: number) => distinctChannels(shape, axis, mean);

    test('update ops run in place: the statistics converge', async () => {
      const layer = make();
      for (let i = 0; i < 10; ++i) train(layer, batch(2));
      await expectStatisticsOf(layer, batch(2), axis);
    });

    test('update ops collected: nothing moves until they run', async () => {
      const layer = make();
      layer.build(shape);
      const before = copyWeights(layer);
      const collect = () => collectUpdateOps(() => train(layer, batch(2))).updateOps;
      const ops = Array.from({length: 10}, collect);
      await expectWeights(layer, before);
      for (const updateOps of ops) updateOps.run();
      await expectStatisticsOf(layer, batch(2), axis);
    });

    test('the same weights in two models: they differ, then converge', async () => {
      const layer = make();
      const input = tfl.input({shape: shape.slice(1)});
      const output = layer.apply(input) as tfl.SymbolicTensor;
      const models = [0, 1].map(() => tfl.model({inputs: input, outputs: output}));
      const [trained, evaluated] = models;
      const step = () => trained.apply(batch(2), {training: true}) as tf.Tensor;
      await expect(evaluated.predict(batch(2)) as tf.Tensor).not.toBeAllclose(step(), {
        atol: 0.1,
      });
      for (let i = 0; i < 10; ++i) step();
      await expect(evaluated.predict(batch(2)) as tf.Tensor).toBeAllclose(step(), close);
    });

    test('training is decided anew at each call', async () => {
      const layer = make();
      const call = (training: boolean) => layer.apply(batch(2), {training}) as tf.Tensor;
      await expect(call(false)).not.toBeAllclose(call(true), {atol: 0.1});
      for (let i = 2; i <= 10; ++i) {
        call(false);
        call(true);
        expect(layer.updateCount).toBe(i);
      }
      await expect(call(false)).toBeAllclose(call(true), close);
    });

    test('frozen while other data is fed', async () => {
      const layer = make();
      for (let i = 0; i < 10; ++i) train(layer, batch(2));
      const before = copyWeights(layer);
      const {updateOps} = collectUpdateOps(() => {
        for (const mean of [-50, 0, 50]) infer(layer, batch(mean));
      });
      expect(updateOps).toHaveLength(0);
      await expectWeights(layer, before);
      await expectNormalized(infer(layer, batch(2)), axis);
      await expect(infer(layer, batch(50))).not.toBeAllclose(infer(layer, batch(2)), {
        atol: 1,
      });
    });
  });
});

describe('PyTorch', () => {
  test('simple average: the mean of two passes, each after a reset', async () => {
    const layer = resBatchNorm({momentum: null});
    layer.build([null, 3]);
    const fresh = copyWeights(layer);
    const batches = [1, 2].map(seed => values([4, 3], {seed, mean: 3 * seed}));
    const statistics = () => tf.stack(layer.getWeights().slice(2, 4));
    const passes: tf.Tensor[] = [];
    const outputs: tf.Tensor[] = [];
    for (const x of batches) {
      layer.setWeights(fresh);
      outputs.push(train(layer, x));
      passes.push(statistics());
    }
    layer.setWeights(fresh);
    await expect(weight(layer, 'num_batches_tracked')).toBeAllclose(0);
    for (const [i, x] of batches.entries()) {
      await expect(train(layer, x)).toBeAllclose(outputs[i], exact);
    }
    await expect(statistics()).toBeAllclose(tf.div(tf.add(passes[0], passes[1]), 2));
    await expect(weight(layer, 'num_batches_tracked')).toBeAllclose(2);
  });

  test.each(['gamma', 'beta', 'moving_mean', 'moving_variance'])(
    '%s of a wrong size is refused, and nothing is set',
    async name => {
      const layer = resBatchNorm();
      layer.build([null, 10]);
      const before = copyWeights(layer);
      for (const size of [9, 11]) {
        const wrong = layer.weights.map(variable =>
          tf.fill([nameOf(variable) === name ? size : 10], 7),
        );
        expect(() => layer.setWeights(wrong)).toThrow(/shape/);
        await expectWeights(layer, before);
      }
    },
  );

  test.each([9, 11])('gamma and beta of size %p for 10 channels in the op', size => {
    const x = tf.ones([2, 10]);
    const wrong = tf.ones([size]) as tf.Tensor1D;
    const message = (name: string) =>
      `batchNormTraining: ${name} must be of shape [10], one value a channel. Received: [${size}]`;
    expect(() => batchNormTraining(x, wrong, null)).toThrow(message('gamma'));
    expect(() => batchNormTraining(x, null, wrong)).toThrow(message('beta'));
  });

  const views: [string, (x: tf.Tensor) => tf.Tensor][] = [
    ['transposed', x => tf.transpose(x, [0, 2, 1])],
    ['a slice', x => tf.slice(x, [1, 1, 1], [3, 3, 2])],
    ['every other example', x => tf.gather(x, [0, 2, 4])],
    ['reversed', x => tf.reverse(x, 1)],
  ];
  test.each(views)('%s equals a copy, gradients included', async (_, view) => {
    const whole = values([6, 5, 4], {mean: 1});
    const copy = tf.tensor(await view(whole).data(), view(whole).shape);
    const cubes = (x: tf.Tensor) => tf.sum(tf.pow(train(resBatchNorm(), x), 3));
    await expect(train(resBatchNorm(), view(whole))).toBeAllclose(
      train(resBatchNorm(), copy),
      exact,
    );
    const dView = tf.grad((x: tf.Tensor) => cubes(view(x)))(whole);
    await expect(view(dView)).toBeAllclose(tf.grad(cubes)(copy), close);
  });
});

describe('Equinox, Haiku and Flax', () => {
  test('inference after no training step is the identity, to the last bit', async () => {
    const x = values([4, 5, 3], {mean: 2});
    // 1 + 1e-9 is 1 in float32.
    await expect(infer(resBatchNorm({epsilon: 1e-9}), x)).toBeAllclose(x, exact);
  });

  const averages: [string, ResBatchNormArgs][] = [
    ['momentum 0', {momentum: 0}],
    ['zero-debiased', {momentum: 0.5, zeroDebiasMovingMean: true}],
    ['cumulative', {momentum: null}],
  ];
  test.each(averages)('%s: the moving mean of constant data is it', async (_, args) => {
    const layer = resBatchNorm(args);
    for (let step = 1; step <= 10; ++step) {
      train(layer, tf.fill([4, 2], 3));
      await expect(weight(layer, 'moving_mean')).toBeAllclose([3, 3], {rtol: 1e-6});
    }
  });

  test.each([
    {shape: [2, 3, 3, 5], axis: -1},
    {shape: [2, 5, 3, 3], axis: 1},
    {shape: [2, 2, 2, 2, 5], axis: -1},
  ])(
    'what is constant in each channel becomes beta, axis $axis',
    async ({shape, axis}) => {
      const layer = resBatchNorm({
        axis,
        gammaInitializer: tfl.initializers.constant({value: 0.5}),
        betaInitializer: tfl.initializers.constant({value: 2}),
      });
      const x = tf.tensor(channelOfEach(shape, axis), shape);
      await expect(train(layer, x)).toBeAllclose(tf.fill(shape, 2), exact);
    },
  );
});

describe('what nobody in tfjs tests', () => {
  test('two sub-models with layers of one name: loading says so', async () => {
    const encoder = () =>
      tfl.sequential({layers: [resBatchNorm({name: 'bn', inputShape: [3]})]});
    const model = tfl.sequential({layers: [encoder(), encoder()]});
    // tfjs-layers saves such a model without a word.
    const file = await saved(model);
    await expect(tfl.loadLayersModel(file)).rejects.toThrow(/Duplicate weight name.*bn/);
  });

  test('clips that are infinite go through a model file', async () => {
    const layer = resBatchNorm({
      renorm: true,
      renormClipping: {rmin: 0.5, rmax: Infinity, dmax: Infinity},
      inputShape: [3],
    });
    train(layer, values([6, 3], {mean: 4}));
    const model = await tfl.loadLayersModel(
      await saved(tfl.sequential({layers: [layer]})),
    );
    const loaded = model.layers[0] as ResBatchNorm;
    expect(loaded.getConfig()).toEqual(layer.getConfig());
    const x = values([6, 3], {seed: 2, mean: 50});
    const {y} = trainingReference({
      x: await x.data(),
      shape: [6, 3],
      axis: 1,
      gamma: [1, 1, 1],
      beta: [0, 0, 0],
      epsilon: 1e-3,
    });
    const trained = train(layer, x);
    // That is without a correction; what the file holds must be as far from it.
    await expect(trained).not.toBeAllclose(y, {atol: 5});
    await expect(train(loaded, x)).toBeAllclose(trained, exact);
  });
});
