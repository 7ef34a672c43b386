import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {collectUpdateOps, resBatchNorm, type ResBatchNorm} from './index.js';

const batch = (seed = 1) => tf.tensor(normalValues(24, {seed, mean: 2}), [8, 3]);

function train(layer: ResBatchNorm, x: tf.Tensor): tf.Tensor {
  return layer.apply(x, {training: true}) as tf.Tensor;
}

function statistics(layer: ResBatchNorm): tf.Tensor {
  return tf.stack(layer.nonTrainableWeights.map(variable => variable.read()));
}

test('by default they run in place', async () => {
  const layer = resBatchNorm();
  train(layer, batch());
  expect(layer.updateOpCount).toBe(1);
  expect(layer.updateCount).toBe(1);
  await expect(statistics(layer)).not.toBeAllclose([
    [0, 0, 0],
    [1, 1, 1],
  ]);
});

test('collected, they run when told to, and do what they would have done in place', async () => {
  const [inPlace, collected] = [resBatchNorm(), resBatchNorm()];
  train(inPlace, batch());
  const {result, updateOps} = collectUpdateOps(() => train(collected, batch()));
  expect(result.shape).toEqual([8, 3]);
  expect(updateOps).toHaveLength(1);
  expect([collected.updateOpCount, collected.updateCount]).toEqual([1, 0]);
  await expect(statistics(collected)).toBeAllclose([
    [0, 0, 0],
    [1, 1, 1],
  ]);
  updateOps.run();
  expect([collected.updateOpCount, collected.updateCount]).toEqual([1, 1]);
  await expect(statistics(collected)).toBeAllclose(statistics(inPlace), {
    rtol: 0,
    atol: 0,
  });
});

test('two calls of one layer make two, which run in turn', async () => {
  const [inPlace, collected] = [resBatchNorm(), resBatchNorm()];
  train(inPlace, batch(1));
  train(inPlace, batch(2));
  const {updateOps} = collectUpdateOps(() => [
    train(collected, batch(1)),
    train(collected, batch(2)),
  ]);
  updateOps.run();
  expect(collected.updateCount).toBe(2);
  await expect(statistics(collected)).toBeAllclose(statistics(inPlace), {
    rtol: 0,
    atol: 0,
  });
});

test('tf.group(apply_gradients, *update_ops): a custom loop that equals fit', async () => {
  const makeModel = () => {
    const model = tfl.sequential({
      layers: [
        tfl.layers.dense({units: 3, inputShape: [3], kernelInitializer: 'identity'}),
        resBatchNorm(),
        tfl.layers.dense({units: 1, kernelInitializer: 'ones'}),
      ],
    });
    model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    return model;
  };
  const [fitted, looped] = [makeModel(), makeModel()];
  const [x, labels] = [batch(), tf.ones([8, 1])];
  await fitted.fit(x, labels, {epochs: 3, batchSize: 8, shuffle: false, verbose: 0});

  const optimizer = tf.train.sgd(0.01);
  const loss = () =>
    tf.losses.meanSquaredError(labels, looped.apply(x, {training: true}) as tf.Tensor);
  for (let step = 0; step < 3; ++step) {
    const {result, updateOps} = collectUpdateOps(() =>
      optimizer.computeGradients(loss as () => tf.Scalar),
    );
    optimizer.applyGradients(result.grads);
    updateOps.run();
    tf.dispose(result as unknown as tf.TensorContainer);
  }
  for (const [i, weight] of looped.getWeights().entries()) {
    await expect(weight).toBeAllclose(fitted.getWeights()[i], {rtol: 1e-5, atol: 1e-6});
  }
});

describe('tensors', () => {
  const layer = resBatchNorm();
  let x: tf.Tensor;
  let before: number;

  beforeEach(() => {
    x ??= batch();
    tf.dispose(train(layer, x));
    before = tf.memory().numTensors;
  });
  afterEach(() => expect(tf.memory().numTensors).toBe(before));

  const collect = () => collectUpdateOps(() => tf.dispose(train(layer, x))).updateOps;

  test('none are left when the ops have run', () => collect().run());

  test('none are left when they are disposed, and the statistics are untouched', async () => {
    const unchanged = statistics(layer);
    const ops = collect();
    ops.dispose();
    ops.dispose();
    const now = statistics(layer);
    await expect(now).toBeAllclose(unchanged, {rtol: 0, atol: 0});
    tf.dispose([unchanged, now]);
  });

  test('dropped inside a tidy, none are left either', () => {
    tf.tidy(() => void collect());
  });

  test('none are left when the function throws, and nothing is collected any more', () => {
    const count = layer.updateCount;
    const failing = () =>
      collectUpdateOps(() => {
        tf.dispose(train(layer, x));
        throw new Error('no');
      });
    expect(failing).toThrow('no');
    tf.dispose(train(layer, x));
    expect(layer.updateCount).toBe(count + 1);
  });

  test('nested collections keep to themselves', () => {
    const outer = collectUpdateOps(() => {
      const inner = collect();
      tf.dispose(train(layer, x));
      tf.dispose(train(layer, x));
      return inner;
    });
    expect([outer.updateOps.length, outer.result.length]).toEqual([2, 1]);
    outer.updateOps.dispose();
    outer.result.dispose();
  });
});

describe('wrong use', () => {
  const collect = () =>
    collectUpdateOps(() => train(resBatchNorm({name: 'bn'}), batch()));

  test('running twice, even if they were disposed in between', () => {
    const {updateOps} = collect();
    updateOps.run();
    updateOps.dispose();
    expect(() => updateOps.run()).toThrow("can't run: they have been run already");
  });

  test('running what was disposed', () => {
    const {updateOps} = collect();
    updateOps.dispose();
    expect(() => updateOps.run()).toThrow("can't run: they have been disposed already");
  });

  test('running what a tidy has disposed', () => {
    const layer = resBatchNorm({name: 'bn'});
    layer.apply(batch());
    let ops: {run(): void};
    tf.tidy(() => {
      ops = collectUpdateOps(() => train(layer, batch())).updateOps;
    });
    expect(() => ops.run()).toThrow(
      "those of layer 'bn' were disposed by the tf.tidy() that collectUpdateOps() was called in",
    );
    expect(layer.updateCount).toBe(0);
  });

  test('an asynchronous function', () => {
    const before = tf.memory().numTensors;
    expect(() => collectUpdateOps(async () => 1)).toThrow(
      expect.objectContaining({
        name: 'ValueError',
        message:
          'collectUpdateOps: fn must be done when it returns. Received: a function that ' +
          'returns a promise; update ops made after its first await could not be collected',
      }),
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  test('no function', () => {
    expect(() => collectUpdateOps('train' as unknown as () => void)).toThrow(
      'collectUpdateOps: fn must be a function. Received: "train"',
    );
  });
});

test('update ops of layers of another copy of this package are collected, too', async () => {
  let other: typeof import('./update_ops.js');
  jest.isolateModules(() => {
    other = jest.requireActual('./update_ops.js');
  });
  expect(other!.collectUpdateOps).not.toBe(collectUpdateOps);
  const run = jest.fn();
  const {updateOps} = collectUpdateOps(() =>
    other!.emitUpdateOp({layerName: 'bn', inputs: {}, run}),
  );
  expect(run).not.toHaveBeenCalled();
  expect(updateOps.length).toBe(1);
  updateOps.run();
  expect(run).toHaveBeenCalledTimes(1);
  // Copies of any version find the collections by this name.
  expect(Symbol.for('@resbatchnorm/layer/update_ops') in globalThis).toBe(true);
});
