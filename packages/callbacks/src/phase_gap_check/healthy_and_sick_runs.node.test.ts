/** No false alarm in 20 healthy trainings, and an alarm in each of 3 × 20 sick ones. */
import '@tensorflow/tfjs-backend-wasm';
import {collectUpdateOps} from '@resbatchnorm/layer';
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {kinds} from '../../test/models';
import {PhaseGapCheck} from '..';

const seeds = Array.from({length: 20}, (_, i) => i + 1);
const features = 6;
const classes = 3;
const batchSize = 16;
const steps = 30;

type MakeNorm = () => tfl.layers.Layer;

const models: tfl.LayersModel[] = [];

beforeAll(async () => {
  await tf.setBackend('wasm');
});

afterEach(() => {
  models.forEach(model => model.dispose());
  models.length = 0;
});

/** Three classes, each around a center of its own, and features that are not standardized. */
function makeData(seed: number): {xs: tf.Tensor2D; ys: tf.Tensor2D} {
  const size = batchSize * steps;
  const centers = normalValues(classes * features, {seed, mean: 3, standardDeviation: 2});
  const noise = normalValues(size * features, {seed: seed + 1000});
  const xs = noise.map(
    (value, i) =>
      centers[(Math.floor(i / features) % classes) * features + (i % features)] + value,
  );
  const labels = Array.from({length: size}, (_, i) => i % classes);
  return {
    xs: tf.tensor2d(xs, [size, features]),
    ys: tf.oneHot(tf.tensor1d(labels, 'int32'), classes) as tf.Tensor2D,
  };
}

function makeModel(seed: number, makeNorm: MakeNorm): tfl.LayersModel {
  const kernel = (i: number) => ({
    kernelInitializer: tfl.initializers.glorotUniform({seed: 10 * seed + i}),
  });
  const relu = () => tfl.layers.activation({activation: 'relu'});
  const model = tfl.sequential({
    layers: [
      tfl.layers.dense({units: 12, inputShape: [features], ...kernel(0)}),
      makeNorm(),
      relu(),
      tfl.layers.dense({units: 12, ...kernel(1)}),
      makeNorm(),
      relu(),
      tfl.layers.dense({units: classes, activation: 'softmax', ...kernel(2)}),
    ],
  });
  model.compile({
    loss: 'categoricalCrossentropy',
    optimizer: tf.train.momentum(0.02, 0.9),
    metrics: ['accuracy'],
  });
  models.push(model);
  return model;
}

/** @returns whether there was a gap, for each epoch. */
async function fit(
  seed: number,
  epochs: number,
  makeNorm: MakeNorm,
): Promise<{model: tfl.LayersModel; data: ReturnType<typeof makeData>; gaps: boolean[]}> {
  const data = makeData(seed);
  const model = makeModel(seed, makeNorm);
  const check = new PhaseGapCheck({data, steps: 8, onGap: () => {}});
  await model.fit(data.xs, data.ys, {
    epochs,
    batchSize,
    shuffle: false,
    verbose: 0,
    callbacks: check,
  });
  return {model, data, gaps: check.report().map(({isGap}) => isGap)};
}

const check = (data: ReturnType<typeof makeData>, model: tfl.LayersModel) =>
  new PhaseGapCheck({data, batchSize, steps: 8, onGap: () => {}}).check(model);

// The two kinds take turns.
const makeNormOf = (seed: number, momentum: number): MakeNorm => {
  const [, makeNorm] = kinds[seed % 2];
  return () => makeNorm({momentum} as object);
};

test.each(seeds)(
  'seed %d: quiet with momentum 0.9, and caught if not loaded',
  async seed => {
    const {model, data, gaps} = await fit(seed, 3, makeNormOf(seed, 0.9));
    expect(gaps).toEqual([false, false, false]);
    const report = await check(data, model);
    expect(report.isGap).toBe(false);
    expect(report.inference.acc).toBeGreaterThan(0.8);

    const isTrainable = (name: string) => !name.includes('moving_');
    const loaded = makeModel(seed, makeNormOf(seed, 0.9));
    tf.tidy(() => {
      model.weights.forEach((weight, i) => {
        if (isTrainable(weight.originalName)) loaded.weights[i].write(weight.read());
      });
    });
    const {isGap, layers} = await check(data, loaded);
    expect(isGap).toBe(true);
    expect(layers).toMatchObject([{cause: 'never updated'}, {cause: 'never updated'}]);
  },
);

test.each(seeds)('seed %d: quiet with momentum 0.99, also at first', async seed => {
  const {gaps} = await fit(seed, 8, makeNormOf(seed, 0.99));
  expect(gaps).toEqual(new Array(8).fill(false));
});

test.each(seeds)('seed %d: caught with momentum 0.9999 and few steps', async seed => {
  const {gaps} = await fit(seed, 2, makeNormOf(seed, 0.9999));
  expect(gaps).toEqual([true, true]);
});

test.each(seeds)('seed %d: caught with update ops dropped', async seed => {
  const data = makeData(seed);
  const [, makeNorm] = kinds[0];
  const model = makeModel(seed, makeNorm);
  const optimizer = tf.train.momentum(0.02, 0.9);
  for (let step = 0; step < 40; step++) {
    tf.tidy(() => {
      const part = (tensor: tf.Tensor2D) =>
        tf.slice(tensor, (step % steps) * batchSize, batchSize);
      const {updateOps} = collectUpdateOps(() =>
        optimizer.minimize(() => {
          const output = model.apply(part(data.xs), {training: true}) as tf.Tensor2D;
          const loss = tfl.metrics.categoricalCrossentropy(part(data.ys), output);
          return tf.mean(loss) as tf.Scalar;
        }),
      );
      updateOps.dispose();
    });
  }
  const {isGap, layers} = await check(data, model);
  expect(isGap).toBe(true);
  expect(layers[0].cause).toBe('collected and not run');
});
