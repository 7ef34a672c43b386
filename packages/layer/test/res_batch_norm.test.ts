import {channelMoments, normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ResBatchNorm, resBatchNorm} from '../src/index.js';

declare const backendUnderTest: string;

const values = (shape: number[], options = {}) =>
  tf.tensor(
    normalValues(
      shape.reduce((a, b) => a * b, 1),
      options,
    ),
    shape,
  );

const train = (layer: ResBatchNorm, x: tf.Tensor) =>
  layer.apply(x, {training: true}) as tf.Tensor;
const infer = (layer: ResBatchNorm, x: tf.Tensor) => layer.apply(x) as tf.Tensor;

const weight = (layer: tfl.layers.Layer, name: string) =>
  layer.weights.find(({originalName}) => originalName.endsWith(name))!.read();

describe('weights', () => {
  test('are gamma, beta, moving_mean, moving_variance, in this order and named so', async () => {
    const layer = resBatchNorm({name: 'bn'});
    layer.apply(values([4, 3]));
    expect(layer.weights.map(({originalName}) => originalName)).toEqual([
      'bn/gamma',
      'bn/beta',
      'bn/moving_mean',
      'bn/moving_variance',
    ]);
    expect(layer.trainableWeights).toHaveLength(2);
    expect(layer.weights.map(({trainable}) => trainable)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    await expect(tf.stack(layer.getWeights())).toBeAllclose([
      [1, 1, 1],
      [0, 0, 0],
      [0, 0, 0],
      [1, 1, 1],
    ]);
  });

  test.each([
    {scale: true, center: false, trainable: 1},
    {scale: false, center: true, trainable: 1},
    {scale: false, center: false, trainable: 0},
  ])('scale $scale, center $center', ({scale, center, trainable}) => {
    const layer = resBatchNorm({scale, center});
    layer.apply(values([4, 3]));
    expect(layer.trainableWeights).toHaveLength(trainable);
    expect(layer.nonTrainableWeights).toHaveLength(2);
  });

  test('the four initializers, by name, instance and config', async () => {
    const layer = resBatchNorm({
      gammaInitializer: tfl.initializers.constant({value: 2}),
      betaInitializer: 'ones',
      movingMeanInitializer: {className: 'Constant', config: {value: 3}} as never,
      movingVarianceInitializer: tfl.initializers.constant({value: 4}),
    });
    layer.apply(values([4, 1]));
    await expect(tf.concat(layer.getWeights())).toBeAllclose([2, 1, 3, 4]);
  });

  test('regularizers add their loss', async () => {
    const layer = resBatchNorm({
      inputShape: [2],
      gammaRegularizer: tfl.regularizers.l1({l1: 0.5}),
      betaRegularizer: 'l1l2',
    });
    layer.apply(values([4, 2]));
    await expect(tf.stack(layer.calculateLosses())).toBeAllclose([1, 0]);
  });

  test('constraints hold when weights are written', async () => {
    const layer = resBatchNorm({
      gammaConstraint: tfl.constraints.minMaxNorm({maxValue: 1}),
      betaConstraint: 'nonNeg',
    });
    layer.apply(values([4, 2]));
    layer.setWeights([
      tf.tensor1d([3, 4]),
      tf.tensor1d([-1, 2]),
      tf.tensor1d([-1, 0]),
      tf.tensor1d([1, 1]),
    ]);
    await expect(tf.norm(weight(layer, 'gamma'))).toBeAllclose(1, {rtol: 5e-5});
    await expect(weight(layer, 'beta')).toBeAllclose([0, 2]);
    await expect(weight(layer, 'moving_mean')).toBeAllclose([-1, 0]);
  });
});

describe('modes', () => {
  test('the moving statistics follow the batches as momentum says', async () => {
    const shape = [6, 2, 3];
    const layer = resBatchNorm({momentum: 0.75});
    let [mean, variance] = [
      [0, 0, 0],
      [1, 1, 1],
    ];
    for (const seed of [1, 2, 3]) {
      const x = values(shape, {seed, mean: seed});
      train(layer, x);
      const batch = channelMoments(await x.data(), shape, -1);
      mean = mean.map((m, c) => 0.75 * m + 0.25 * batch.mean[c]);
      variance = variance.map((v, c) => 0.75 * v + 0.25 * batch.variance[c]);
    }
    await expect(weight(layer, 'moving_mean')).toBeAllclose(mean);
    await expect(weight(layer, 'moving_variance')).toBeAllclose(variance);
  });

  test('momentum 0: inference on the last batch equals training on it', async () => {
    const layer = resBatchNorm({momentum: 0});
    const x = values([8, 4, 3], {mean: 5});
    const trained = train(layer, x);
    await expect(infer(layer, x)).toBeAllclose(trained, {rtol: 1e-5, atol: 1e-5});
  });

  test('momentum 1: the statistics stay', async () => {
    const layer = resBatchNorm({momentum: 1});
    train(layer, values([8, 3], {mean: 5}));
    await expect(weight(layer, 'moving_mean')).toBeAllclose([0, 0, 0]);
    await expect(weight(layer, 'moving_variance')).toBeAllclose([1, 1, 1]);
  });

  test('on constant data the moving mean converges to it', async () => {
    const layer = resBatchNorm({momentum: 0.5});
    for (let i = 0; i < 30; ++i) train(layer, tf.fill([4, 2], 3));
    await expect(weight(layer, 'moving_mean')).toBeAllclose([3, 3]);
    await expect(weight(layer, 'moving_variance')).toBeAllclose([0, 0], {atol: 1e-6});
  });

  test('inference after no training step is the identity, but for epsilon', async () => {
    const x = values([4, 3]);
    await expect(infer(resBatchNorm({epsilon: 1e-9}), x)).toBeAllclose(x);
  });

  test('inference changes nothing', async () => {
    const layer = resBatchNorm();
    infer(layer, values([4, 3], {mean: 9}));
    layer.apply(values([4, 3], {mean: 9}), {training: false});
    expect([layer.updateOpCount, layer.updateCount]).toEqual([0, 0]);
    await expect(weight(layer, 'moving_mean')).toBeAllclose([0, 0, 0]);
  });

  test('fit trains, evaluate and predict test', async () => {
    const layer = resBatchNorm({inputShape: [3]});
    const model = tfl.sequential({layers: [layer]});
    model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    await model.fit(values([8, 3]), values([8, 3]), {
      batchSize: 2,
      epochs: 2,
      verbose: 0,
    });
    expect(layer.updateCount).toBe(8);
    model.evaluate(values([8, 3]), values([8, 3]), {batchSize: 2});
    model.predict(values([8, 3]));
    expect(layer.updateCount).toBe(8);
  });

  test('NCHW gives what NHWC gives, gradients included', async () => {
    const [last, first] = [resBatchNorm(), resBatchNorm({axis: 1})];
    const x = values([3, 4, 5, 2], {mean: 1});
    const toFirst = (t: tf.Tensor) => tf.transpose(t, [0, 3, 1, 2]);
    await expect(train(first, toFirst(x))).toBeAllclose(toFirst(train(last, x)));
    await expect(weight(first, 'moving_mean')).toBeAllclose(weight(last, 'moving_mean'));
    await expect(weight(first, 'moving_variance')).toBeAllclose(
      weight(last, 'moving_variance'),
    );
    await expect(infer(first, toFirst(x))).toBeAllclose(toFirst(infer(last, x)));
    const gradient = (layer: ResBatchNorm, x: tf.Tensor) =>
      tf.grad(x => tf.sum(tf.pow(train(layer, x), 3)))(x);
    await expect(gradient(first, toFirst(x))).toBeAllclose(toFirst(gradient(last, x)), {
      rtol: 1e-4,
      atol: 1e-5,
    });
  });

  test('a layer used twice a step updates twice', async () => {
    const layer = resBatchNorm();
    const input = tfl.input({shape: [3]});
    const twice = layer.apply(layer.apply(input)) as tfl.SymbolicTensor;
    const model = tfl.model({inputs: input, outputs: twice});
    model.apply(values([4, 3]), {training: true});
    expect(layer.updateCount).toBe(2);
  });

  test('in TimeDistributed it updates once a time step', () => {
    const layer = resBatchNorm();
    const wrapper = tfl.layers.timeDistributed({layer, inputShape: [5, 3]});
    const model = tfl.sequential({layers: [wrapper]});
    model.apply(values([4, 5, 3]), {training: true});
    expect(layer.updateCount).toBe(5);
  });

  test('a mask is passed on', () => {
    const layer = resBatchNorm();
    const mask = tf.ones([4, 5], 'bool');
    expect(layer.computeMask(values([4, 5, 3]), mask)).toBe(mask);
  });
});

describe('a batch that is not finite', () => {
  const poisoned = () => tf.tensor2d([NaN, 1, Infinity, 2, 5, 3], [2, 3]);
  const finite = () => values([4, 3]);

  test('is skipped as a whole, and counted', async () => {
    const layer = resBatchNorm();
    train(layer, finite());
    const before = layer.getWeights().map(tensor => tensor.clone());
    train(layer, poisoned());
    train(layer, poisoned());
    for (const [i, tensor] of layer.getWeights().entries()) {
      await expect(tensor).toBeAllclose(before[i], {rtol: 0, atol: 0});
    }
    expect(layer.updateCount).toBe(3);
    expect(await layer.readSkippedUpdateCount()).toBe(2);
  });

  test("with nonFiniteUpdates 'propagate' shows in the statistics", async () => {
    const layer = resBatchNorm({nonFiniteUpdates: 'propagate'});
    train(layer, poisoned());
    const mean = await weight(layer, 'moving_mean').data();
    expect(mean[0]).toBeNaN();
    expect(mean[1]).toBeCloseTo(0.3);
    expect(await layer.readSkippedUpdateCount()).toBe(0);
  });

  test('is not hidden in the output', async () => {
    const y = await train(resBatchNorm(), poisoned()).data();
    expect(y[0]).toBeNaN();
  });

  test('is decided on without reading back', () => {
    const layer = resBatchNorm();
    train(layer, finite());
    const {prototype} = tf.Tensor;
    const reads = [jest.spyOn(prototype, 'data'), jest.spyOn(prototype, 'dataSync')];
    train(layer, poisoned());
    train(layer, finite());
    for (const read of reads) {
      expect(read).not.toHaveBeenCalled();
      read.mockRestore();
    }
  });
});

describe('memory', () => {
  test('is the same after step 10 and after many more', async () => {
    const model = tfl.sequential({
      layers: [tfl.layers.dense({units: 3, inputShape: [2]}), resBatchNorm()],
    });
    model.compile({optimizer: tf.train.momentum(0.01, 0.9), loss: 'meanSquaredError'});
    const [x, y] = [values([4, 2]), values([4, 3])];
    const steps = async (count: number) => {
      for (let i = 0; i < count; ++i) tf.dispose(await model.trainOnBatch(x, y));
      return tf.memory().numTensors;
    };
    const after10 = await steps(10);
    // A thousand take a minute on a GPU made of software; one tensor a step shows in a hundred.
    const total = backendUnderTest.startsWith('webg') ? 100 : 1000;
    expect(await steps(total - 10)).toBe(after10);
  });

  test('is the same after a forward pass that throws', () => {
    const layer = resBatchNorm();
    const x = values([4, 3]);
    tf.dispose(train(layer, x));
    const before = tf.memory().numTensors;
    const wrong = [values([4, 2]), tf.tensor1d([1]), tf.tensor2d([['a', 'b', 'c']])];
    for (const input of wrong) {
      expect(() => tf.grad(x => train(layer, x))(input)).toThrow();
      expect(() => train(layer, input)).toThrow();
    }
    tf.dispose(wrong);
    expect(tf.memory().numTensors).toBe(before);
  });

  test('is given back with the model', () => {
    const before = tf.memory().numTensors;
    const model = tfl.sequential({layers: [resBatchNorm({inputShape: [3]})]});
    tf.dispose(model.predict(tf.zeros([1, 3])));
    expect(model.dispose().numDisposedVariables).toBe(4);
    expect(tf.memory().numTensors).toBe(before + 1);
  });
});

test('the layer tells how many values a channel had', () => {
  const layer = resBatchNorm();
  expect(layer.lastValueCount).toBeNull();
  const counts = [tf.ones([4, 3, 2]), tf.ones([1, 1, 2])].map(x => {
    layer.apply(x, {training: true});
    return layer.lastValueCount;
  });
  expect(counts).toEqual([12, 1]);
  layer.apply(tf.ones([4, 3, 2]));
  expect(layer.lastValueCount).toBe(1);
  layer.apply(tf.ones([4, 3, 2]), {training: true, mask: tf.ones([4, 3])});
  expect(layer.lastValueCount).toBeNull();
});
