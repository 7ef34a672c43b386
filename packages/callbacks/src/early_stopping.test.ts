import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  builtIn,
  compile,
  denseModel,
  kinds,
  makeBatch,
  makeDataset,
  resBatchNorm,
} from '../test/models';
import {EarlyStopping, remainingBatches, UpdateOpsCheck} from '.';
import type {EarlyStoppingArgs} from '.';

/** Gives each epoch one of the values, and keeps the weights that it ended with. */
class Epochs extends tfl.Callback {
  readonly weights: number[][][] = [];

  constructor(
    private readonly values: number[],
    private readonly key = 'quality',
  ) {
    super();
  }

  override async onEpochEnd(epoch: number, logs: tfl.Logs): Promise<void> {
    if (epoch < this.values.length) logs[this.key] = this.values[epoch];
    this.weights.push(await weightsOf(this.model));
  }
}

function weightsOf(model: tfl.LayersModel): Promise<number[][]> {
  return Promise.all(
    model.weights.map(async weight => Array.from(await weight.read().data())),
  );
}

async function fit(
  model: tfl.LayersModel,
  callbacks: tfl.Callback[],
  epochs: number,
): Promise<tfl.History> {
  const {xs, ys} = makeBatch(16);
  try {
    return await model.fit(xs, ys, {epochs, batchSize: 8, verbose: 0, callbacks});
  } finally {
    tf.dispose([xs, ys]);
  }
}

/** Trains for as many epochs as there are values. */
async function stop(
  args: EarlyStoppingArgs,
  values: number[],
): Promise<{stopping: EarlyStopping; epochs: number}> {
  const stopping = new EarlyStopping({monitor: 'quality', ...args});
  const model = compile(denseModel());
  const {epoch} = await fit(model, [new Epochs(values), stopping], values.length);
  return {stopping, epochs: epoch.length};
}

describe('training stops', () => {
  test.each<[string, EarlyStoppingArgs, number[], number, number | null]>([
    // What it is, the arguments, a value an epoch, epochs trained, the best of them.
    ['without patience, at the first that is no better', {}, [3, 2, 2, 1], 3, 1],
    ['after as many epochs as it has patience', {patience: 2}, [3, 2, 5, 2, 1], 4, 1],
    ['later, if one is better in between', {patience: 2}, [3, 4, 2, 4, 4, 1], 5, 2],
    ['never, while it gets better', {}, [4, 3, 2, 1], 4, 3],
    ['if the change is not above minDelta', {minDelta: 1}, [5, 3, 2, 0], 3, 1],
    ['if more is no better, in mode min', {mode: 'min'}, [1, 2, 3], 2, 0],
    ['if less is no better, in mode max', {mode: 'max'}, [1, 2, 1, 3], 3, 1],
    ['if the baseline is not beaten', {baseline: 1, patience: 2}, [5, 4, 3, 3, 0], 4, 2],
    ['not, once it is', {baseline: 4, patience: 2}, [5, 3, 3, 2, 2], 5, 3],
    ['not before startFromEpoch', {startFromEpoch: 2}, [1, 2, 5, 4, 4, 0], 5, 3],
    ['as NaN is never better', {patience: 2}, [2, NaN, NaN, 1], 3, 0],
    ['not after the first epoch', {}, [NaN, 1, 2, 0], 3, 1],
    ['nor is the NaN that it began with', {patience: 2}, [NaN, NaN, 1], 2, 0],
  ])('%s', async (_name, args, values, epochs, bestEpoch) => {
    const result = await stop(args, values);
    expect(result.epochs).toBe(epochs);
    expect(result.stopping.bestEpoch).toBe(bestEpoch);
    const isStopped = epochs < values.length;
    expect(result.stopping.stoppedEpoch).toBe(isStopped ? epochs - 1 : null);
  });

  test.each([
    ['acc', 3],
    ['val_auc', 3],
    ['accuracy_loss', 2],
    ['mse', 2],
  ])('in mode auto by the name %s', async (monitor, epochs) => {
    const stopping = new EarlyStopping({monitor: monitor.replace('val_', '')});
    const values = new Epochs([1, 2, 1, 3], monitor.replace('val_', ''));
    const {epoch} = await fit(compile(denseModel()), [values, stopping], 4);
    expect(epoch).toHaveLength(epochs);
  });

  test('on the value of a validation', async () => {
    const stopping = new EarlyStopping({minDelta: 1e9});
    const {xs, ys} = makeBatch(16);
    const {epoch, history} = await compile(denseModel()).fit(xs, ys, {
      epochs: 9,
      verbose: 0,
      validationData: [xs, ys],
      callbacks: [stopping, tfl.callbacks.earlyStopping({patience: 9})],
    });
    expect(epoch).toHaveLength(2);
    expect(stopping.best).toBe(history.val_loss[0]);
  });
});

describe.each(kinds)('the best weights, with %s', (_name, norm) => {
  const start = () => compile(denseModel(norm()));

  test('are restored when it stops, with the moving statistics', async () => {
    const model = start();
    const epochs = new Epochs([3, 1, 2, 2, 0]);
    const args = {monitor: 'quality', patience: 2, restoreBestWeights: true};
    const stopping = new EarlyStopping(args);
    await fit(model, [epochs, new UpdateOpsCheck(), stopping], 5);
    expect(epochs.weights).toHaveLength(4);
    expect(stopping).toMatchObject({best: 1, bestEpoch: 1, stoppedEpoch: 3});
    expect(await weightsOf(model)).toEqual(epochs.weights[1]);
    expect(await weightsOf(model)).not.toEqual(epochs.weights[3]);
  });

  test('are restored when training ends by itself', async () => {
    const model = start();
    const epochs = new Epochs([3, 1, 2]);
    const args = {monitor: 'quality', patience: 9, restoreBestWeights: true};
    await fit(model, [epochs, new EarlyStopping(args)], 3);
    expect(await weightsOf(model)).toEqual(epochs.weights[1]);
  });

  test('are those of the first epoch, if no value is a number', async () => {
    const model = start();
    const epochs = new Epochs([NaN, NaN, NaN]);
    const args = {monitor: 'quality', patience: 9, restoreBestWeights: true};
    await fit(model, [epochs, new EarlyStopping(args)], 3);
    expect(await weightsOf(model)).toEqual(epochs.weights[0]);
  });

  test('are left alone unless asked for', async () => {
    const model = start();
    const epochs = new Epochs([3, 1, 2]);
    await fit(model, [epochs, new EarlyStopping({monitor: 'quality'})], 3);
    expect(await weightsOf(model)).toEqual(epochs.weights[2]);
  });
});

test('what is restored is not put through a constraint once more', async () => {
  const kernelConstraint = tfl.constraints.maxNorm({maxValue: 0.01});
  const model = compile(denseModel(tfl.layers.dense({units: 4, kernelConstraint})));
  const epochs = new Epochs([1, 2]);
  const args = {monitor: 'quality', restoreBestWeights: true};
  await fit(model, [epochs, new EarlyStopping(args)], 2);
  expect(await weightsOf(model)).toEqual(epochs.weights[0]);
});

test('nothing leaks, whether training ends well or fails', async () => {
  const model = compile(denseModel(resBatchNorm(), builtIn()));
  const args = {monitor: 'quality', restoreBestWeights: true, patience: 9};
  const stopping = new EarlyStopping(args);
  await fit(model, [], 1);
  const {numTensors} = tf.memory();
  await fit(model, [new Epochs([1, 2, 0]), stopping], 3);
  expect(tf.memory().numTensors).toBe(numTensors);
  // The second epoch has no value.
  await expect(fit(model, [new Epochs([1]), stopping], 3)).rejects.toThrow(
    "EarlyStopping: argument 'monitor' must name a quantity in the logs of an epoch. " +
      'Received: "quality", with loss in the logs',
  );
  expect(tf.memory().numTensors).toBe(numTensors);
});

test('validation that is monitored and not done is an error before the first step', async () => {
  const model = compile(denseModel());
  await expect(fit(model, [new EarlyStopping()], 3)).rejects.toThrow(
    "EarlyStopping: argument 'monitor' must name a quantity in the logs of an epoch. " +
      'Received: "val_loss", with loss in the logs: no validation data were given',
  );
  expect(model.optimizer.iterations).toBe(0);
});

test('an epoch that was resumed after its last step has no logs, and does not count', async () => {
  const dataset = remainingBatches(makeDataset(2), {stepInEpoch: 2});
  const stopping = new EarlyStopping({monitor: 'loss', patience: 3});
  const {epoch} = await compile(denseModel()).fitDataset(dataset, {
    epochs: 3,
    verbose: 0,
    callbacks: stopping,
  });
  expect(epoch).toEqual([0, 1, 2]);
  expect(stopping.bestEpoch).toBeGreaterThan(0);
});

test.each<[unknown, string]>([
  [
    null,
    "the arguments must be an object with any of 'monitor', 'minDelta', 'patience', ",
  ],
  [{patient: 1}, "the arguments are 'monitor', 'minDelta', 'patience', 'mode', "],
  [
    {monitor: ''},
    'argument \'monitor\' must be a string that is not empty. Received: ""',
  ],
  [{mode: 'less'}, "argument 'mode' must be 'auto', 'min' or 'max'. Received: \"less\""],
  [{minDelta: -1}, "argument 'minDelta' must be a number, 0 or more. Received: -1"],
  [
    {patience: 0.5},
    "argument 'patience' must be a whole number, 0 or more. Received: 0.5",
  ],
  [{baseline: NaN}, "argument 'baseline' must be a number. Received: NaN"],
  [{restoreBestWeights: 'yes'}, "argument 'restoreBestWeights' must be true or false. "],
  [{startFromEpoch: -1}, "argument 'startFromEpoch' must be a whole number, 0 or more. "],
])('the arguments %p are an error that says so', (args, problem) => {
  const message = `EarlyStopping: ${problem}`;
  expect(() => new EarlyStopping(args as EarlyStoppingArgs)).toThrow(
    expect.objectContaining({
      name: 'ValueError',
      message: expect.stringContaining(message),
    }),
  );
});
