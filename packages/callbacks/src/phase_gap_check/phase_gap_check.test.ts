import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  builtIn,
  compile,
  denseModel,
  encoder,
  fillWeight,
  kinds,
  makeBatch,
  makeDataset,
  resBatchNorm,
} from '../../test/models';
import type {Batch} from '../../test/models';
import {PhaseGapCheck} from '..';
import type {PhaseGapCheckArgs} from '..';

let data: Batch;

beforeEach(() => {
  data = makeBatch(16);
});

afterEach(() => {
  tf.dispose([data.xs, data.ys]);
  jest.restoreAllMocks();
});

/** A check of 2 batches of 8 that tells nobody. */
function quietCheck(args: Partial<PhaseGapCheckArgs> = {}): PhaseGapCheck {
  return new PhaseGapCheck({data, batchSize: 8, onGap: () => {}, ...args});
}

/** A batch norm and nothing else: what it receives is known. */
function normOnly(layer: tfl.layers.Layer): tfl.LayersModel {
  const input = tfl.input({shape: [3]});
  const output = layer.apply(input) as tfl.SymbolicTensor;
  return compile(tfl.model({inputs: input, outputs: output}));
}

async function evaluate(model: tfl.LayersModel, {xs, ys}: Batch): Promise<number> {
  const loss = model.evaluate(xs, ys) as tf.Scalar;
  const [value] = await loss.data();
  loss.dispose();
  return value;
}

async function valuesOf(model: tfl.LayersModel): Promise<number[][]> {
  return Promise.all(model.getWeights().map(async w => Array.from(await w.data())));
}

describe.each(kinds)('%s', (className, makeNorm) => {
  test('both losses, and the distances', async () => {
    const model = normOnly(makeNorm({name: 'bn'}));
    // 2 and 4, so a mean of 3 and a variance of 1; then 6 and 10: 8 and 4.
    const xs = tf.tensor2d([2, 4, 6, 10].map(x => [x, x, x]));
    const ys = tf.zerosLike(xs);
    fillWeight(model.layers[1], 'moving_mean', 5.5);
    fillWeight(model.layers[1], 'moving_variance', 4);
    const check = quietCheck({data: {xs, ys}, batchSize: 2});
    const report = await check.check(model);
    const root = Math.sqrt(4.001);
    expect(report).toMatchObject({epoch: null, examples: 4});
    const squares = [2, 4, 6, 10].map(x => ((x - 5.5) / root) ** 2);
    const mean = squares.reduce((a, b) => a + b) / 4;
    expect(report.inference.loss).toBeCloseTo(mean, 4);
    // (±1)²/(1 + epsilon) and (±2)²/(4 + epsilon).
    expect(report.training.loss).toBeCloseTo((1 / 1.001 + 4 / 4.001) / 2, 4);
    const {lossGap, training, inference} = report;
    expect(lossGap).toBeCloseTo((inference.loss - training.loss) / training.loss, 5);
    const [layer] = report.layers;
    expect(layer).toMatchObject({layer: 'bn', className});
    // The batches' means average to 5.5, their variances to 2.5.
    expect(layer.meanDistance).toBeCloseTo(0, 5);
    expect(layer.varianceDistance).toBeCloseTo(Math.abs(Math.log(2.501 / 4.001)) / 2, 5);
    expect(layer.distance).toBe(layer.varianceDistance);
    fillWeight(model.layers[1], 'moving_mean', 0);
    const [far] = (await check.check(model)).layers;
    expect(far.meanDistance).toBeCloseTo(5.5 / root, 4);
    expect(far.distance).toBe(far.meanDistance);
    tf.dispose([xs, ys]);
  });

  test('layers in training mode meet what those before them make of the batch', async () => {
    const model = compile(denseModel(makeNorm(), makeNorm({name: 'second'})));
    const [, first] = model.layers;
    fillWeight(first, 'moving_mean', 50);
    const report = await quietCheck().check(model);
    // Normalized by the batch, whatever the moving statistics of the first.
    expect(report.layers[1].meanDistance).toBeCloseTo(0, 4);
    expect(report.layers[1].varianceDistance).toBeLessThan(0.05);
  });

  test('changes nothing and leaks nothing, also in fit', async () => {
    const model = compile(denseModel(makeNorm(), encoder('inner', makeNorm())));
    const check = quietCheck();
    await check.check(model);
    const before = await valuesOf(model);
    const dataIds = model.weights.map(weight => weight.read().dataId);
    const {numTensors} = tf.memory();
    const call = Object.getOwnPropertyDescriptor(model.layers[1], 'call');
    await check.check(model);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(model.weights.map(weight => weight.read().dataId)).toEqual(dataIds);
    expect(await valuesOf(model)).toEqual(before);
    expect(Object.getOwnPropertyDescriptor(model.layers[1], 'call')).toEqual(call);
    const counts = model.layers[1] as {updateOpCount?: number; updateCount?: number};
    expect(counts.updateOpCount ?? 0).toBe(0);
    const {history} = await model.fit(data.xs, data.ys, {
      epochs: 2,
      verbose: 0,
      callbacks: check,
    });
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(history['loss']).toHaveLength(2);
    expect(check.report()).toHaveLength(4);
  });

  test('a frozen layer is in inference mode both times', async () => {
    const layer = makeNorm({trainable: false});
    const report = await quietCheck().check(compile(denseModel(layer)));
    expect(report.lossGap).toBe(0);
    expect(report.layers).toEqual([]);
  });
});

test('the distance is from what the moving variance follows', async () => {
  const layer = resBatchNorm({unbiasedMovingVariance: true} as object);
  const model = normOnly(layer);
  // 2 and 4, so an unbiased variance of 2; then 6 and 10: 8.
  const xs = tf.tensor2d([2, 4, 6, 10].map(x => [x, x, x]));
  fillWeight(layer, 'moving_mean', 5.5);
  fillWeight(layer, 'moving_variance', 5);
  const check = quietCheck({data: {xs, ys: xs}, batchSize: 2});
  const [{varianceDistance}] = (await check.check(model)).layers;
  expect(varianceDistance).toBeCloseTo(0, 5);
  xs.dispose();
});

test('all metrics of all outputs, by their names', async () => {
  const input = tfl.input({shape: [3]});
  const normed = resBatchNorm().apply(input);
  const outputs = ['a', 'b'].map(
    name => tfl.layers.dense({units: 1, name}).apply(normed) as tfl.SymbolicTensor,
  );
  const model = tfl.model({inputs: input, outputs});
  model.compile({loss: 'meanSquaredError', optimizer: 'sgd', metrics: ['mae']});
  const both = {xs: [data.xs], ys: {a: data.ys, b: data.ys}};
  const {inference} = await quietCheck({data: both}).check(model);
  expect(Object.keys(inference)).toEqual(model.metricsNames);
  const [ofA, ofB] = model.predict(data.xs) as tf.Tensor2D[];
  const expected = [ofA, ofB].map(y => tf.losses.meanSquaredError(data.ys, y));
  await expect(tf.stack(expected)).toBeAllclose([inference.a_loss, inference.b_loss]);
  expect(inference.loss).toBeCloseTo(inference.a_loss + inference.b_loss, 5);
  expect(inference).toHaveProperty('b_mae', expect.any(Number));
});

test('dropout is off both times', async () => {
  const model = compile(denseModel(tfl.layers.dropout({rate: 0.9}), resBatchNorm()));
  const check = quietCheck();
  const reports = [await check.check(model), await check.check(model)];
  expect(reports[0].training).toEqual(reports[1].training);
  expect(reports[0].inference.loss).toBeCloseTo(await evaluate(model, data), 5);
});

describe('data', () => {
  test('tensors, an array of batches and a dataset give the same', async () => {
    const model = compile(denseModel(resBatchNorm()));
    const halves = [0, 8].map(start => ({
      xs: tf.slice(data.xs, start, 8),
      ys: tf.slice(data.ys, start, 8),
    }));
    let next = 0;
    const dataset = makeDataset(2, () => {
      const {xs, ys} = halves[next++ % 2];
      return {xs: tf.clone(xs), ys: tf.clone(ys)};
    });
    const {numTensors} = tf.memory();
    const reports = [];
    for (const form of [data, halves, dataset as never]) {
      reports.push(await quietCheck({data: form}).check(model));
    }
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(reports[0].examples).toBe(16);
    expect(reports[1]).toEqual(reports[0]);
    expect(reports[2]).toEqual(reports[0]);
  });

  test('a last batch that is smaller counts by its examples', async () => {
    const model = compile(denseModel(resBatchNorm()));
    const {inference, examples} = await quietCheck({batchSize: 5}).check(model);
    expect(examples).toBe(16);
    expect(inference.loss).toBeCloseTo(await evaluate(model, data), 5);
  });

  test('no more than `steps` batches are used', async () => {
    const model = compile(denseModel(resBatchNorm()));
    const endless = makeDataset(Infinity, () => makeBatch(8)) as never;
    const {numTensors} = tf.memory();
    for (const form of [data, endless]) {
      const report = await quietCheck({data: form, steps: 1}).check(model);
      expect(report.examples).toBe(8);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test.each<[string, () => unknown, string]>([
    ['none', () => undefined, '. Received: undefined'],
    ['without ys', () => ({xs: data.xs}), '. Received: {xs: a tensor of shape [16,3]}'],
    ['an empty array', () => [], '. Received: an array of 0'],
    ['with numbers', () => ({xs: [1], ys: [2]}), '. Received: {xs: [1], ys: [2]}'],
  ])('%s is an error', (_name, wrong, received) => {
    expect(() => new PhaseGapCheck({data: wrong() as never})).toThrow(
      "PhaseGapCheck: argument 'data' must be {xs, ys} of tensors, an array of such batches " +
        `that is not empty, or a dataset of them${received}`,
    );
  });

  test.each<[string, () => unknown, string]>([
    ['an empty dataset', () => makeDataset(0), 'must be a batch or more. Received: none'],
    [
      'a dataset without targets',
      () => makeDataset(1, () => tf.zeros([8, 3]) as never),
      'must be a dataset of {xs, ys} of tensors. Received: a tensor of shape [8,3]',
    ],
    [
      'a batch with fewer targets than inputs',
      () => makeDataset(1, () => ({xs: tf.zeros([8, 3]), ys: tf.zeros([4, 1])})),
      'as many in the targets as in the inputs. Received: tensors of 8, 4 examples',
    ],
    [
      'inputs of a shape that is not the model’s',
      () => makeDataset(1, () => ({xs: tf.zeros([8, 4]), ys: tf.zeros([8, 1])})),
      'the input received an input with 8 examples, each with shape [4]',
    ],
  ])('%s is an error, and leaks nothing', async (_name, makeData, message) => {
    const model = compile(denseModel(resBatchNorm()));
    const {numTensors} = tf.memory();
    const check = quietCheck({data: makeData() as never});
    await expect(check.check(model)).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(check.report()).toEqual([]);
    // The layers have their own call back.
    model.apply(data.xs, {training: true});
    expect(model.layers[1]).toMatchObject({updateCount: 1});
  });
});

describe('in fit', () => {
  test('the logs and the history have the gap, for others to monitor', async () => {
    const model = denseModel(resBatchNorm(), builtIn());
    model.compile({loss: 'meanSquaredError', optimizer: 'sgd', metrics: ['mae']});
    const check = quietCheck({batchSize: undefined});
    const stopping = tfl.callbacks.earlyStopping({
      monitor: 'phase_gap_loss',
      minDelta: 1e9,
    });
    const {history} = await model.fit(data.xs, data.ys, {
      epochs: 5,
      batchSize: 4,
      verbose: 0,
      callbacks: [check, stopping],
    });
    const reports = check.report();
    expect(history['phase_gap_loss']).toEqual(
      reports.map(({training, inference}) => inference.loss - training.loss),
    );
    expect(history).toHaveProperty('phase_gap_mae');
    expect(history['phase_gap_distance']).toEqual(
      reports.map(({layers}) => Math.max(...layers.map(({distance}) => distance))),
    );
    expect(reports.map(({epoch}) => epoch)).toEqual([0, 1]);
    expect(reports[1].layers).toMatchObject([{updates: 8}, {updates: 8}]);
  });

  test('every so many epochs; until reset', async () => {
    const check = quietCheck({everyEpochs: 2});
    const model = compile(denseModel(resBatchNorm()));
    await model.fit(data.xs, data.ys, {epochs: 5, verbose: 0, callbacks: check});
    expect(check.report().map(({epoch}) => epoch)).toEqual([1, 3]);
    check.reset();
    expect(check.report()).toEqual([]);
  });

  test('fitDataset', async () => {
    const model = compile(denseModel(resBatchNorm()));
    const check = quietCheck();
    const {numTensors} = tf.memory();
    await model.fitDataset(makeDataset(3), {epochs: 2, verbose: 0, callbacks: check});
    expect(check.report()).toHaveLength(2);
    // The optimizer's.
    expect(tf.memory().numTensors - numTensors).toBeLessThanOrEqual(1);
  });
});

test.each<[string, object | undefined, string]>([
  [
    'none',
    undefined,
    "the arguments must be an object with any of 'data', 'batchSize', ",
  ],
  ['unknown', {dat: 1}, 'Received: "dat"'],
  [
    'batchSize',
    {batchSize: 0},
    "'batchSize' must be a whole number, 1 or more. Received: 0",
  ],
  ['steps', {steps: 1.5}, "'steps' must be a whole number, 1 or more. Received: 1.5"],
  ['everyEpochs', {everyEpochs: '2'}, "'everyEpochs' must be a whole number"],
  ['threshold', {threshold: 1}, "'threshold': the arguments must be an object"],
  [
    'threshold of',
    {threshold: {acc: 1}},
    "the arguments are 'loss', 'distance'. Received: \"acc\"",
  ],
  [
    'loss',
    {threshold: {loss: -1}},
    "'threshold.loss' must be a number, 0 or more. Received: -1",
  ],
  [
    'onGap',
    {onGap: 'error'},
    "'onGap' must be 'throw', 'warn' or a function. Received: \"error\"",
  ],
])('a wrong argument is an error: %s', (_name, args, message) => {
  const make = () => new PhaseGapCheck((args && {data, ...args}) as never);
  expect(make).toThrow(expect.objectContaining({name: 'ValueError'}));
  expect(make).toThrow('PhaseGapCheck: ');
  expect(make).toThrow(message);
});

test.each<[string, () => tfl.LayersModel, string]>([
  ['no model', () => ({}) as never, "argument 'model' must be a tf.LayersModel"],
  ['without batch norms', () => compile(denseModel()), 'must have a batch-norm layer'],
  ['not compiled', () => denseModel(resBatchNorm()), 'must be compiled, with the loss'],
])('a wrong model is an error: %s', async (_name, makeModel, message) => {
  const check = quietCheck().check(makeModel());
  await expect(check).rejects.toMatchObject({
    name: 'ValueError',
    message: expect.stringMatching(/^PhaseGapCheck.check: /),
  });
  await expect(check).rejects.toThrow(message);
});

test('after a training, check goes by its updates, and advice by all of its steps', async () => {
  const model = compile(
    denseModel(tfl.layers.batchNormalization({name: 'bn', momentum: 0.9999})),
  );
  const check = quietCheck();
  const {xs, ys} = data;
  await model.fit(xs, ys, {batchSize: 4, epochs: 2, verbose: 0, callbacks: check});
  // 4 of 8 updates, and then all: 0.05^(1/8) = 0.687…
  const [first] = check.report();
  for (const report of [first, await check.check(model)]) {
    expect(report.layers).toMatchObject([
      {
        cause: 'momentum too high',
        message: expect.stringContaining('a momentum of 0.68 or less'),
      },
    ]);
  }
  expect(first.layers[0].updates).toBe(4);
});
