import {channelMoments, normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {on, setWeights} from '../../test/models.js';
import {resBatchNorm, type ResBatchNormArgs} from '../index.js';
import type {Batches} from './recalibrated_batches.js';
import {recalibrate} from './recalibrate.js';

const {layers} = tfl;
const exact = {rtol: 0, atol: 0};
const close = {rtol: 1e-5, atol: 1e-5};

/** A batch far from the others, so that the variance of the means counts. */
function batch(seed: number, shape: number[]): tf.Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(
    normalValues(size, {seed, mean: 3 * seed, standardDeviation: seed}),
    shape,
  );
}

/** Batches of 2, 5 and 3 examples. */
const unequal = (...shape: number[]) =>
  [2, 5, 3].map((n, i) => batch(i + 1, [n, ...shape]));

/** Mean and variance of all values in some tensors of one shape but for the batch. */
async function allMoments(tensors: tf.Tensor[], axis = -1) {
  const all = tf.concat(tensors, 0);
  return channelMoments(await all.data(), all.shape, axis);
}

const weight = (layer: tfl.layers.Layer, name: string) =>
  layer.weights.find(w => w.originalName.endsWith(`/${name}`))!.read() as tf.Tensor;

async function expectStatistics(
  layer: tfl.layers.Layer,
  {mean, variance}: {mean: number[]; variance: number[]},
) {
  await expect(weight(layer, 'moving_mean')).toBeAllclose(mean, close);
  await expect(weight(layer, 'moving_variance')).toBeAllclose(variance, close);
}

const bn = (args: ResBatchNormArgs = {}) => resBatchNorm({name: 'bn', ...args});

function sequential(...all: tfl.layers.Layer[]): tfl.LayersModel {
  const model = tfl.sequential({layers: all});
  setWeights(model);
  return model;
}

describe('the statistics are those of all values, over batches of unequal sizes', () => {
  const cases: [string, number[], () => tfl.layers.Layer, number][] = [
    ['rank 2', [4], () => bn({inputShape: [4]}), -1],
    ['axis 1', [3, 2, 2], () => bn({axis: 1, inputShape: [3, 2, 2]}), 1],
    ['rank 5', [2, 2, 2, 3], () => bn({inputShape: [2, 2, 2, 3]}), -1],
    ['built-in', [4], () => layers.batchNormalization({inputShape: [4]}), -1],
    [
      'built-in, without scale',
      [4],
      () => layers.batchNormalization({inputShape: [4], scale: false}),
      -1,
    ],
    [
      'time-distributed',
      [3, 4],
      () => layers.timeDistributed({layer: bn(), inputShape: [3, 4]}),
      -1,
    ],
    ['renorm', [4], () => bn({inputShape: [4], renorm: true}), -1],
    ['zero-debiased', [4], () => bn({inputShape: [4], zeroDebiasMovingMean: true}), -1],
    ['cumulative', [4], () => bn({inputShape: [4], momentum: null}), -1],
  ];
  test.each(cases)('%s', async (_, shape, make, axis) => {
    const model = sequential(make());
    const batches = unequal(...shape);
    const result = await recalibrate(model, batches);
    expect(result).toEqual({layers: [expect.any(String)], batches: 3});
    await expectStatistics(model.layers[0], await allMoments(batches, axis));
  });

  test('virtual batches', async () => {
    const model = sequential(bn({inputShape: [4], virtualBatchSize: 2}));
    const batches = [batch(1, [2, 4]), batch(2, [6, 4])];
    await recalibrate(model, batches);
    await expectStatistics(model.layers[0], await allMoments(batches));
  });

  test('unbiased', async () => {
    const model = sequential(bn({inputShape: [4], unbiasedMovingVariance: true}));
    const batches = unequal(4);
    await recalibrate(model, batches);
    const {mean, variance} = await allMoments(batches);
    const unbiased = variance.map(v => (v * 10) / 9);
    await expectStatistics(model.layers[0], {mean, variance: unbiased});
  });

  test('a mask leaves positions out', async () => {
    const model = sequential(layers.masking({maskValue: 0, inputShape: [3, 2]}), bn());
    const x = tf.tensor(normalValues(12, {mean: 2}), [2, 3, 2]);
    const mask = tf.tensor([1, 1, 0, 1, 0, 0], [2, 3, 1]);
    const whole = tf.zeros([1, 3, 2]);
    const other = batch(3, [1, 3, 2]);
    await recalibrate(model, [tf.mul(x, mask), whole, other]);
    const kept = tf.gather(tf.reshape(x, [6, 2]), tf.tensor1d([0, 1, 3], 'int32'));
    const all = [kept, tf.reshape(other, [3, 2])];
    await expectStatistics(model.layers[1], await allMoments(all));
  });

  test('a shared layer pools all its uses', async () => {
    const shared = bn();
    const inputs = [tfl.input({shape: [4]}), tfl.input({shape: [4]})];
    const outputs = inputs.map(input => on(shared, input));
    const model = tfl.model({inputs, outputs});
    const [a, b] = [batch(1, [3, 4]), batch(2, [3, 4])];
    await recalibrate(model, [[a, b]]);
    await expectStatistics(shared, await allMoments([a, b]));
  });

  test('a mean far from 0 costs no precision', async () => {
    const model = sequential(bn({inputShape: [2]}));
    const batches = unequal(2).map(x => tf.add(x, 1e4));
    await recalibrate(model, batches);
    const {variance} = await allMoments(batches);
    await expect(weight(model.layers[0], 'moving_variance')).toBeAllclose(variance, {
      rtol: 1e-3,
    });
  });
});

test('each layer normalizes by the batch, for those after it', async () => {
  type Args = {inputShape?: number[]; name?: string};
  const make = (norm: (args?: Args) => tfl.layers.Layer) => {
    const inner = tfl.sequential({
      layers: [layers.dense({units: 3, inputShape: [4]}), norm()],
    });
    return sequential(
      norm({inputShape: [4], name: 'first'}),
      inner,
      layers.dense({units: 2}),
    );
  };
  for (const model of [make(bn), make(args => layers.batchNormalization(args))]) {
    const [first, inner] = model.layers;
    const [dense, second] = (inner as tfl.LayersModel).layers;
    const batches = unequal(4);
    const between = batches.map(x => {
      const args = [weight(first, 'gamma'), weight(first, 'beta')] as tf.Tensor1D[];
      const {mean, variance} = tf.moments(x, 0);
      const normed = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-3)));
      return dense.apply(tf.add(tf.mul(normed, args[0]), args[1])) as tf.Tensor;
    });
    const {layers: names} = await recalibrate(model, batches);
    expect(names).toEqual([first.name, second.name]);
    await expectStatistics(first, await allMoments(batches));
    await expectStatistics(second, await allMoments(between));
  }
});

test('nothing else changes, and nothing leaks', async () => {
  const model = sequential(
    bn({inputShape: [4], renorm: true}),
    layers.dense({units: 4}),
    layers.dropout({rate: 0.5}),
    layers.batchNormalization(),
  );
  const isStatistic = /moving_(mean|variance|stddev)$/;
  const others = model.weights.filter(w => !isStatistic.test(w.originalName));
  const before = others.map(w => tf.clone(w.read()));
  const batches = unequal(4);
  const tensors = tf.memory().numTensors;
  await recalibrate(model, batches);
  expect(tf.memory().numTensors).toBe(tensors);
  for (const [i, other] of others.entries()) {
    await expect(other.read() as tf.Tensor).toBeAllclose(before[i], exact);
  }
  expect(model.layers.map(layer => layer.trainable)).toEqual([true, true, true, true]);
  // The call is the layer's own again, for either class.
  for (const layer of model.layers) expect(Object.hasOwn(layer, 'call')).toBe(false);
});

test('frozen batch norms are in inference mode and keep their statistics', async () => {
  const model = sequential(
    layers.batchNormalization({inputShape: [4]}),
    bn({name: 'frozen'}),
    bn({name: 'last'}),
  );
  for (const layer of model.layers.slice(0, 2)) layer.trainable = false;
  const [builtIn, frozen, last] = model.layers;
  const before = [builtIn, frozen].flatMap(l => l.getWeights().map(w => tf.clone(w)));
  const batches = unequal(4);
  const reached = batches.map(x => frozen.apply(builtIn.apply(x)) as tf.Tensor);
  expect((await recalibrate(model, batches)).layers).toEqual(['last']);
  await expectStatistics(last, await allMoments(reached));
  for (const [i, w] of [builtIn, frozen].flatMap(l => l.getWeights()).entries()) {
    await expect(w).toBeAllclose(before[i], exact);
  }
});

describe('training goes on from the new statistics', () => {
  const step = (args: ResBatchNormArgs, before = 0) => {
    const model = tfl.sequential({layers: [bn({inputShape: [4], ...args})]});
    const train = (x: tf.Tensor) =>
      tf.dispose(model.apply(x, {training: true}) as tf.Tensor);
    for (let i = 0; i < before; ++i) train(batch(7, [3, 4]));
    return {model, train};
  };
  const moving = (old: number[], batch: number[], momentum: number) =>
    old.map((value, i) => value * momentum + batch[i] * (1 - momentum));

  test('renorm and zero-debiased', async () => {
    const batches = unequal(4);
    const all = await allMoments(batches);
    const x = batch(4, [3, 4]);
    const next = await allMoments([x]);

    const {model, train} = step({renorm: true, momentum: 0.75});
    await recalibrate(model, batches);
    train(x);
    const stddev = (variance: number[]) => variance.map(v => Math.sqrt(v + 1e-3));
    await expectStatistics(model.layers[0], {
      mean: moving(all.mean, next.mean, 0.75),
      variance: moving(stddev(all.variance), stddev(next.variance), 0.75).map(
        s => s ** 2 - 1e-3,
      ),
    });

    const debiased = step({zeroDebiasMovingMean: true, momentum: 0.5}, 2);
    await recalibrate(debiased.model, batches);
    debiased.train(x);
    await expectStatistics(debiased.model.layers[0], {
      mean: moving(all.mean, next.mean, 0.5),
      variance: moving(all.variance, next.variance, 0.5),
    });
  });

  test('cumulative: the batches count', async () => {
    const batches = unequal(4);
    const {model, train} = step({momentum: null}, 5);
    await recalibrate(model, batches);
    expect(
      Array.from(await weight(model.layers[0], 'num_batches_tracked').data()),
    ).toEqual([3]);
    const x = batch(4, [3, 4]);
    train(x);
    const [all, next] = [await allMoments(batches), await allMoments([x])];
    await expectStatistics(model.layers[0], {
      mean: moving(all.mean, next.mean, 3 / 4),
      variance: moving(all.variance, next.variance, 3 / 4),
    });
  });
});

describe('batches', () => {
  const model = () => sequential(bn({inputShape: [4]}));

  test('may come from a generator, an async generator or a dataset of tf.data', async () => {
    const sources: [string, (xs: tf.Tensor[]) => Batches][] = [
      ['generator', xs => xs.values()],
      [
        'async generator',
        async function* (xs) {
          for (const x of xs) yield {xs: x, ys: null};
        },
      ],
      [
        'dataset',
        xs => {
          const values = xs.map(x => ({xs: tf.clone(x), ys: tf.zeros([1])}));
          const next = async () =>
            values.length === 0
              ? {value: null as never, done: true}
              : {value: values.shift()!, done: false};
          return {iterator: async () => ({next})};
        },
      ],
    ];
    for (const [, of] of sources) {
      const made = model();
      const xs = unequal(4);
      const before = tf.memory().numTensors;
      expect((await recalibrate(made, of(xs))).batches).toBe(3);
      expect(tf.memory().numTensors).toBe(before);
      await expectStatistics(made.layers[0], await allMoments(xs));
    }
  });

  test('inputs by name', async () => {
    const [a, b] = ['a', 'b'].map(name => tfl.input({shape: [4], name}));
    const norm = bn();
    const output = on(layers.add(), on(norm, a), b);
    const named = tfl.model({inputs: [a, b], outputs: output});
    const x = batch(2, [3, 4]);
    await recalibrate(named, [{xs: {b: tf.zeros([3, 4]), a: x}}, {a: x, b: x}]);
    await expectStatistics(norm, await allMoments([x]));
    await expect(recalibrate(named, [{a: x}])).rejects.toThrow(
      'recalibrate: batch 0 must have 2 tensors, the inputs, in this order or by name: a, b. ' +
        'Received: ["a"]',
    );
  });

  test('steps: so many are used, and there must be so many', async () => {
    const made = model();
    const xs = unequal(4);
    expect((await recalibrate(made, xs, {steps: 2})).batches).toBe(2);
    await expectStatistics(made.layers[0], await allMoments(xs.slice(0, 2)));
    await expect(recalibrate(made, xs, {steps: 4})).rejects.toThrow(
      'recalibrate: batches must be at least as many as steps, 4. Received: 3',
    );
  });

  test('the iteration is ended properly', async () => {
    let isEnded = false;
    function* xs() {
      try {
        for (;;) yield batch(1, [2, 4]);
      } finally {
        isEnded = true;
      }
    }
    await recalibrate(model(), xs(), {steps: 2});
    expect(isEnded).toBe(true);
  });

  test('an empty batch among others adds nothing', async () => {
    const made = model();
    const xs = unequal(4);
    await recalibrate(made, [xs[0], tf.zeros([0, 4]), xs[1]]);
    await expectStatistics(made.layers[0], await allMoments(xs.slice(0, 2)));
  });
});

test('a layer with an adjustment is not said to be unsaved', async () => {
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
  try {
    const adjustment = () => [tf.scalar(1), tf.scalar(0)] as [tf.Tensor, tf.Tensor];
    const layer = resBatchNorm({adjustment, inputShape: [4]});
    await recalibrate(tfl.sequential({layers: [layer]}), [
      tf.ones([3, 4]),
      tf.ones([3, 4]),
    ]);
    expect(warn).not.toHaveBeenCalled();
  } finally {
    warn.mockRestore();
  }
});
