/** What MovingStatisticsSummary sees of a training, and when. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import * as introspection from '@resbatchnorm/layer/introspection';

import {
  compile,
  denseModel,
  encoder,
  fillWeight,
  kinds,
  makeBatch,
  makeDataset,
  resBatchNorm,
} from '../../test/models';
import type {Batch, Layer} from '../../test/models';
import {
  MovingStatisticsSummary,
  remainingBatches,
  SummarySeries,
  UpdateOpsCheck,
} from '..';
import {eventFiles, ModelCheckpoint, resume} from '../node';
import type {BatchDataset, Summary, SummaryWriter} from '..';
import {histogramOf} from './summary';
import {statisticsDistance} from '../statistics_distance';

jest.mock('@resbatchnorm/layer/introspection', () => {
  const actual = jest.requireActual('@resbatchnorm/layer/introspection');
  return {...actual, onBatchStatistics: jest.fn(actual.onBatchStatistics)};
});

/** Keeps the summaries as they come. */
class Collector implements SummaryWriter {
  readonly summaries: Summary[] = [];

  write(summaries: readonly Summary[]): void {
    this.summaries.push(...summaries);
  }

  /** `step: value` of a scalar. */
  curve(tag: string, run = 'train'): Record<number, number> {
    const points = this.summaries.filter(s => s.run === run && tag in s.scalars);
    return Object.fromEntries(points.map(s => [s.step, s.scalars[tag]]));
  }

  steps(tag: string): number[] {
    const found = this.summaries.filter(
      ({scalars, histograms}) => tag in scalars || tag in histograms,
    );
    return found.map(({step}) => step);
  }
}

/** Trains 24 examples in batches of 8, so 3 steps an epoch. */
async function fit(
  model: tfl.LayersModel,
  callbacks: tfl.Callback | tfl.Callback[],
  args: tfl.ModelFitArgs = {},
): Promise<tfl.History> {
  const {xs, ys} = makeBatch(24);
  const common = {batchSize: 8, epochs: 2, shuffle: false, verbose: 0};
  try {
    return await model.fit(xs, ys, {...common, ...args, callbacks});
  } finally {
    tf.dispose([xs, ys]);
  }
}

/** The first norm meets the data as they are. */
function normFirst(norm: Layer): tfl.LayersModel {
  const input = tfl.input({shape: [3]});
  const y = norm.apply(input) as tfl.SymbolicTensor;
  const dense = tfl.layers.dense({units: 1});
  return compile(
    tfl.model({inputs: input, outputs: dense.apply(y) as tfl.SymbolicTensor}),
  );
}

/** Mean and variance of columns of `[rows, 3]`. */
function columnStatistics(values: ArrayLike<number>) {
  const rows = values.length / 3;
  const column = (c: number) => Array.from({length: rows}, (_, r) => values[3 * r + c]);
  const average = (all: number[]) => all.reduce((a, b) => a + b) / all.length;
  const mean = [0, 1, 2].map(c => average(column(c)));
  const variance = [0, 1, 2].map(c => average(column(c).map(x => (x - mean[c]) ** 2)));
  return {mean, variance};
}

describe.each(kinds)('with %s', (className, norm) => {
  test('a summary is due every so many steps and at the end of each epoch', async () => {
    const collector = new Collector();
    const summary = new MovingStatisticsSummary({writer: collector, everySteps: 2});
    await fit(compile(denseModel(norm({name: 'bn'}))), summary);
    for (const tag of ['bn/moving_mean', 'bn/moving_variance']) {
      expect(collector.steps(tag)).toEqual([2, 3, 4, 6]);
    }
    for (const tag of ['bn/mean_distance', 'bn/variance_distance', 'batch_loss']) {
      expect(collector.steps(tag)).toEqual([2, 3, 4, 6]);
    }
    expect(collector.steps('epoch_loss')).toEqual([0, 1]);
  });

  test('everySteps null leaves the ends of epochs', async () => {
    const collector = new Collector();
    const summary = new MovingStatisticsSummary({writer: collector, everySteps: null});
    await fit(compile(denseModel(norm({name: 'bn'}))), summary);
    expect(collector.steps('bn/moving_mean')).toEqual([3, 6]);
    expect(collector.steps('bn/mean_distance')).toEqual([3, 6]);
  });

  test('the histograms are those of the weights after the step', async () => {
    const collector = new Collector();
    const layer = norm({name: 'bn'});
    const model = normFirst(layer);
    const expected: object[] = [];
    class Recorder extends tfl.Callback {
      override async onBatchEnd(): Promise<void> {
        const [mean, variance] = layer.getWeights().slice(-2);
        expected.push({
          'bn/moving_mean': histogramOf(await mean.data()),
          'bn/moving_variance': histogramOf(await variance.data()),
        });
      }
    }
    const summary = new MovingStatisticsSummary({writer: collector, everySteps: 1});
    await fit(model, [summary, new Recorder()]);
    const seen = collector.summaries.map(({histograms}) => histograms);
    expect(seen.filter(histograms => 'bn/moving_mean' in histograms)).toEqual(expected);
    expect(expected).toHaveLength(6);
  });

  test('the distances are of the batch from the statistics before it', async () => {
    const collector = new Collector();
    const {xs, ys} = makeBatch(24);
    const values = await xs.data();
    const layer = norm({name: 'bn'});
    const model = normFirst(layer);
    const momentum = layer.getConfig().momentum as number;
    await model.fit(xs, ys, {
      batchSize: 8,
      shuffle: false,
      verbose: 0,
      callbacks: new MovingStatisticsSummary({writer: collector, everySteps: 1}),
    });
    let moving = {mean: [0, 0, 0], variance: [1, 1, 1]};
    for (let step = 1; step <= 3; step++) {
      const batch = columnStatistics(values.slice(24 * (step - 1), 24 * step));
      const distance = statisticsDistance(batch, moving, 1e-3);
      expect(distance.mean).toBeGreaterThan(0.1);
      // The built-in layer's come from a small change of float32 values.
      expect(collector.curve('bn/mean_distance')[step]).toBeCloseTo(distance.mean, 3);
      expect(collector.curve('bn/variance_distance')[step]).toBeCloseTo(
        distance.variance,
        3,
      );
      const follow = (old: number[], next: number[]) =>
        old.map((value, i) => value * momentum + next[i] * (1 - momentum));
      moving = {
        mean: follow(moving.mean, batch.mean),
        variance: follow(moving.variance, batch.variance),
      };
    }
  });

  test('a dataset of unknown size has no distance at the end of its first epoch', async () => {
    const collector = new Collector();
    const model = compile(denseModel(norm({name: 'bn'})));
    const dataset = {...makeDataset(3), size: null} as unknown as ReturnType<
      typeof makeDataset
    >;
    await model.fitDataset(dataset, {
      epochs: 2,
      verbose: 0,
      callbacks: new MovingStatisticsSummary({writer: collector}),
    });
    expect(collector.steps('bn/moving_mean')).toEqual([3, 6]);
    expect(collector.steps('bn/mean_distance')).toEqual([6]);
  });

  test('a training that is stopped has histograms of its last step', async () => {
    class Stop extends tfl.Callback {
      override async onBatchEnd(batch: number): Promise<void> {
        if (batch === 1) (this.model as tfl.LayersModel).stopTraining = true;
      }
      override setModel(model: tfl.LayersModel): void {
        this.model = model;
      }
    }
    const collector = new Collector();
    const model = compile(denseModel(norm({name: 'bn'})));
    await fit(model, [new MovingStatisticsSummary({writer: collector}), new Stop()]);
    expect(collector.steps('bn/moving_mean')).toEqual([2]);
    expect(collector.steps('bn/mean_distance')).toEqual([]);
  });

  test('values that are not finite are counted', async () => {
    const collector = new Collector();
    const model = compile(denseModel(norm({name: 'bn'})));
    fillWeight(model.layers[1], 'moving_mean', Infinity);
    await fit(model, new MovingStatisticsSummary({writer: collector}), {epochs: 1});
    expect(collector.curve('bn/moving_mean_non_finite')).toEqual({3: 4});
    expect(collector.steps('bn/moving_variance_non_finite')).toEqual([]);
    const histograms = collector.summaries.flatMap(
      s => s.histograms['bn/moving_mean'] ?? [],
    );
    expect(histograms).toEqual([{edges: [], counts: []}]);
    expect(Number.isFinite(collector.curve('bn/mean_distance')[3])).toBe(false);
  });

  test('nothing is read back when no summary is due', async () => {
    const backend = tf.backend();
    const read = jest.spyOn(backend, 'read');
    const readSync = jest.spyOn(backend, 'readSync');
    const readsOf = async (callback: tfl.Callback) => {
      const model = compile(denseModel(norm(), norm()));
      const counts: number[] = [];
      class Counter extends tfl.Callback {
        override async onBatchEnd(): Promise<void> {
          counts.push(read.mock.calls.length + readSync.mock.calls.length);
        }
      }
      await fit(model, [callback, new Counter()]);
      return counts.slice(1).map((count, i) => count - counts[i]);
    };
    try {
      const without = await readsOf(new UpdateOpsCheck());
      const summary = new MovingStatisticsSummary({
        writer: new Collector(),
        everySteps: 5,
      });
      const extra = (await readsOf(summary)).map((count, i) => count - without[i]);
      // Of steps 2 to 6, of which 3, 5 and 6 are due; the end of the epoch counts for step 4.
      expect([extra[0], extra[2] <= 2]).toEqual([0, true]);
      expect([extra[1], extra[3], extra[4]].every(count => count >= 3)).toBe(true);
    } finally {
      read.mockRestore();
      readSync.mockRestore();
    }
  });

  test('60 summaries leak nothing', async () => {
    const model = compile(denseModel(norm(), norm()));
    const summary = new MovingStatisticsSummary({writer: new Collector(), everySteps: 1});
    await fit(model, summary);
    const {numTensors} = tf.memory();
    await fit(model, summary, {epochs: 20});
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test("another callback's error in a step leaks nothing of the summary", async () => {
    const model = compile(denseModel(norm(), norm()));
    class Fails extends tfl.Callback {
      override async onBatchEnd(): Promise<void> {
        throw new Error('of another callback');
      }
    }
    const leaked = async (...callbacks: tfl.Callback[]) => {
      const {numTensors} = tf.memory();
      await expect(fit(model, [...callbacks, new Fails()])).rejects.toThrow('another');
      // Reads that the step has begun end by themselves.
      await new Promise(resolve => setTimeout(resolve, 50));
      return tf.memory().numTensors - numTensors;
    };
    const before = await leaked(new UpdateOpsCheck());
    // On either side of what fails.
    const summary = new MovingStatisticsSummary({writer: new Collector(), everySteps: 1});
    expect(await leaked(summary)).toBe(before);
    const {numTensors} = tf.memory();
    await expect(fit(model, [new Fails(), summary])).rejects.toThrow('another');
    await new Promise(resolve => setTimeout(resolve, 50));
    expect(tf.memory().numTensors - numTensors).toBe(before);
  });

  test('an error of the writer ends the training without a leak', async () => {
    const model = compile(denseModel(norm()));
    await fit(model, new MovingStatisticsSummary({writer: new Collector()}));
    const {numTensors} = tf.memory();
    const write = jest.fn().mockRejectedValue(new Error('the disk is full'));
    const summary = new MovingStatisticsSummary({writer: {write}, everySteps: 2});
    await expect(fit(model, summary)).rejects.toThrow('the disk is full');
    expect(write).toHaveBeenCalledTimes(1);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('layers that do not move have histograms, and no distance', async () => {
    const collector = new Collector();
    const frozen = norm({name: 'frozen', trainable: false});
    await fit(
      compile(denseModel(frozen, norm({name: 'bn'}))),
      new MovingStatisticsSummary({writer: collector}),
      {epochs: 1},
    );
    expect(collector.steps('frozen/moving_mean')).toEqual([3]);
    // The built-in layer moves when it is frozen.
    expect(collector.steps('frozen/mean_distance')).toEqual(
      className === 'ResBatchNorm' ? [] : [3],
    );
  });
});

test('loss and metrics have the names that Keras gives them', async () => {
  const collector = new Collector();
  const model = denseModel(resBatchNorm({name: 'bn'}));
  model.compile({loss: 'meanSquaredError', optimizer: 'sgd', metrics: ['mae']});
  const {xs, ys} = makeBatch(16);
  const {history} = await fit(model, new MovingStatisticsSummary({writer: collector}), {
    validationData: [xs, ys],
  });
  const scalars = new Set(
    collector.summaries.flatMap(s =>
      Object.keys(s.scalars).map(tag => `${s.run}: ${tag}`),
    ),
  );
  expect([...scalars].sort()).toEqual([
    'train: batch_loss',
    'train: batch_mae',
    'train: bn/mean_distance',
    'train: bn/variance_distance',
    'train: epoch_loss',
    'train: epoch_mae',
    'validation: epoch_loss',
    'validation: epoch_mae',
  ]);
  expect(Object.values(collector.curve('epoch_mae'))).toEqual(history.mae);
  expect(Object.values(collector.curve('epoch_loss', 'validation'))).toEqual(
    history.val_loss,
  );
});

test('steps that never ended are not observed in the next training', async () => {
  const layer = resBatchNorm({name: 'bn'});
  let told = 0;
  const onBatch = jest.mocked(introspection.onBatchStatistics);
  const {onBatchStatistics} = jest.requireActual('@resbatchnorm/layer/introspection');
  onBatch.mockImplementation((norm, take) =>
    onBatchStatistics(norm, (batch: introspection.BatchStatistics) => {
      told += 1;
      take(batch);
    }),
  );
  class Fails extends tfl.Callback {
    override async onBatchBegin(): Promise<void> {
      throw new Error('of another callback');
    }
  }
  const model = compile(denseModel(layer));
  const summary = new MovingStatisticsSummary({writer: new Collector(), everySteps: 1});
  for (let training = 0; training < 3; training++)
    await expect(fit(model, [summary, new Fails()])).rejects.toThrow('of another');
  await fit(model, summary, {epochs: 1});
  expect(told).toBe(3);
});

test('a second training goes on counting', async () => {
  const collector = new Collector();
  const summary = new MovingStatisticsSummary({writer: collector});
  const model = compile(denseModel(resBatchNorm({name: 'bn'})));
  await fit(model, summary);
  await fit(model, summary, {epochs: 1});
  expect(collector.steps('bn/moving_mean')).toEqual([3, 6, 9]);
  expect(collector.steps('epoch_loss')).toEqual([0, 1, 2]);
});

test('a training that is resumed counts from its first epoch', async () => {
  const collector = new Collector();
  const model = compile(denseModel(resBatchNorm({name: 'bn'})));
  const args = {initialEpoch: 2, epochs: 4};
  await fit(model, new MovingStatisticsSummary({writer: collector}), args);
  expect(collector.steps('bn/moving_mean')).toEqual([9, 12]);
  expect(collector.steps('epoch_loss')).toEqual([2, 3]);
});

test('a training that is resumed in the middle of an epoch goes on from its step', async () => {
  const path = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  const norm = resBatchNorm({name: 'bn'});
  const at = {epoch: 1, stepInEpoch: 2, step: 6};
  await new ModelCheckpoint({path}).save(compile(denseModel(norm)), at);
  const {model, epoch, stepInEpoch} = await resume(path);
  await rm(path, {recursive: true});
  const collector = new Collector();
  const data = makeDataset(4) as unknown as BatchDataset<Batch>;
  await model.fitDataset(remainingBatches(data, {stepInEpoch}), {
    initialEpoch: epoch,
    epochs: 3,
    verbose: 0,
    callbacks: new MovingStatisticsSummary({writer: collector, everySteps: 7}),
  });
  expect(collector.steps('bn/moving_mean')).toEqual([7, 8, 12]);
  // The last steps of epochs are told beforehand.
  expect(collector.steps('bn/mean_distance')).toEqual([7, 8, 12]);
});

test('layers with weights of the same name are told by their paths', async () => {
  const collector = new Collector();
  const inner = (name: string) => encoder(name, resBatchNorm({name: 'bn'}));
  const model = compile(denseModel(inner('a'), inner('b'), resBatchNorm({name: 'c'})));
  await fit(model, new MovingStatisticsSummary({writer: collector}), {epochs: 1});
  const tags = new Set(collector.summaries.flatMap(s => Object.keys(s.histograms)));
  expect([...tags].filter(tag => tag.endsWith('moving_mean'))).toEqual([
    'a/bn/moving_mean',
    'b/bn/moving_mean',
    'c/moving_mean',
  ]);
});

test('it works beside others', async () => {
  const collector = new Collector();
  const check = new UpdateOpsCheck();
  await fit(compile(denseModel(resBatchNorm({name: 'bn'}))), [
    new MovingStatisticsSummary({writer: collector}),
    tfl.callbacks.earlyStopping({monitor: 'loss', patience: 5}),
    check,
    new MovingStatisticsSummary({writer: new SummarySeries()}),
  ]);
  expect(collector.steps('bn/mean_distance')).toEqual([3, 6]);
  expect(check.report()).toMatchObject([{steps: 6, updates: 6}]);
});

test.each([
  [undefined, 'undefined'],
  ['logs', '"logs"'],
  [{}, '{}'],
  [7, '7'],
])('%p in place of the writer is an error that says so', (writer, received) => {
  expect(() => new MovingStatisticsSummary({writer: writer as never})).toThrow(
    "MovingStatisticsSummary: argument 'writer' must be eventFiles('a folder') of " +
      '@resbatchnorm/callbacks/node, a SummarySeries, or an object with write(summaries). ' +
      `Received: ${received}`,
  );
});

test.each([
  [undefined, 'undefined'],
  ['', '""'],
  [{}, '{}'],
  [7, '7'],
])('%p in place of the folder is an error that says so', (folder, received) => {
  expect(() => eventFiles(folder as unknown as string)).toThrow(
    `eventFiles: argument 'folder' must be a string that is not empty. Received: ${received}`,
  );
});

test.each([
  [
    {everySteps: 0},
    "argument 'everySteps' must be a whole number, 1 or more. Received: 0",
  ],
  [{everySteps: 1.5}, 'Received: 1.5'],
  [{everySteps: '2'}, 'Received: "2"'],
  [{every: 2}, `the arguments are 'writer', 'everySteps'. Received: "every"`],
  [null, 'the arguments must be an object with any of'],
])('%p as arguments is an error that says so', (args, message) => {
  const writer = new SummarySeries();
  const act = () => new MovingStatisticsSummary((args && {writer, ...args}) as never);
  expect(act).toThrow(expect.objectContaining({name: 'ValueError'}));
  expect(act).toThrow(message);
});

test('a model without a batch-norm layer is an error', async () => {
  await expect(
    fit(compile(denseModel()), new MovingStatisticsSummary({writer: new Collector()})),
  ).rejects.toThrow('MovingStatisticsSummary: the model');
});
