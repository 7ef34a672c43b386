/** Event files on the disk: the real TensorBoard reads them; what is wrong is an error. */
import '@tensorflow/tfjs-backend-cpu';
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import fs from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {
  builtIn,
  compile,
  denseModel,
  fillWeight,
  makeBatch,
  resBatchNorm,
} from '../../test/models';
import {askTensorBoard, findTensorBoard} from '../../test/tensorboard';
import type {ReadEvent, Reply} from '../../test/tensorboard';
import {MovingStatisticsSummary} from '..';
import {eventFiles} from '../node';
import {histogramOf} from './summary';

let root: string;

beforeAll(async () => {
  // Keeps the cpu backend from advising another one.
  tf.env().set('IS_TEST', true);
  await tf.setBackend('cpu');
  root = mkdtempSync(join(tmpdir(), 'event-files-'));
});

afterAll(() => rmSync(root, {recursive: true}));

afterEach(() => jest.restoreAllMocks());

function twoNorms(): tfl.LayersModel {
  return compile(denseModel(resBatchNorm({name: 'own'}), builtIn({name: 'built_in'})));
}

/** Two epochs of 3 steps, with a look at steps 2, 3 (the epoch's end), 4 and 6. */
async function fit(
  logdir: string,
  model = twoNorms(),
  ...others: tfl.Callback[]
): Promise<void> {
  const {xs, ys} = makeBatch(24);
  const summary = new MovingStatisticsSummary({
    writer: eventFiles(logdir),
    everySteps: 2,
  });
  await model.fit(xs, ys, {
    epochs: 2,
    batchSize: 8,
    shuffle: false,
    verbose: 0,
    validationData: [xs, ys],
    callbacks: [summary, ...others],
  });
  tf.dispose([xs, ys]);
}

function filesOf(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map(name => join(folder, name));
}

/** Keeps the values of the weights after each step, by tag and step. */
class Recorder extends tfl.Callback {
  readonly values: Record<string, number[]> = {};
  private step = 0;

  constructor(private readonly watched: tfl.LayersModel) {
    super();
  }

  override async onBatchEnd(): Promise<void> {
    this.step += 1;
    for (const {originalName, trainable, ...weight} of this.watched.weights) {
      if (trainable) continue;
      const values = await (weight as unknown as {val: tf.Variable}).val.data();
      this.values[`${originalName} ${this.step}`] = Array.from(values);
    }
  }
}

/** Values at which a histogram that counts another way differs from NumPy's. */
const hardCases: Record<string, number[]> = {
  'many values': Array.from(normalValues(10_000, {seed: 1, mean: 2})),
  'values on the edges': Array.from({length: 301}, (_, i) => (i / 300) * 0.7 - 0.1),
  'equal values': [0.1, 0.1, 0.1],
  'neighbours in float32': [1, 1 + 2 ** -23, 1 + 2 ** -22],
  'the smallest and the greatest': [-(2 ** 127), -(2 ** -149), 0, 2 ** -149, 2 ** 127],
};

const python = findTensorBoard();
if (python === undefined && process.env.CI) {
  throw new Error(
    'No Python with tensorboard: run `npx resbatchnorm-native setup --cpu`, or pip install ' +
      'tensorboard.',
  );
}
// The name says why it is skipped.
const title =
  python === undefined ? 'TensorBoard (no Python here has it)' : 'TensorBoard';
(python === undefined ? describe.skip : describe)(title, () => {
  let reply: Reply;
  let recorder: Recorder;
  let train: ReadEvent[];
  let validation: ReadEvent[];
  let nonFinite: ReadEvent[];
  let flipped: ReadEvent[];
  let cut: ReadEvent[];

  beforeAll(async () => {
    const logdir = join(root, 'logs');
    const model = twoNorms();
    recorder = new Recorder(model);
    await fit(logdir, model, recorder);
    const [trainFile] = filesOf(join(logdir, 'train'));
    const [validationFile] = filesOf(join(logdir, 'validation'));

    const broken = twoNorms();
    fillWeight(broken.layers[2], 'moving_mean', NaN);
    await fit(join(root, 'broken'), broken);
    const [nonFiniteFile] = filesOf(join(root, 'broken', 'train'));

    const flippedFile = join(root, 'flipped.tfevents');
    const bytes = readFileSync(trainFile);
    // In the middle of the second last record.
    bytes[bytes.length - 1000] ^= 1;
    writeFileSync(flippedFile, bytes);
    const cutFile = join(root, 'cut.tfevents');
    copyFileSync(trainFile, cutFile);
    truncateSync(cutFile, statSync(cutFile).size - 1);

    reply = askTensorBoard(python!, {
      files: [trainFile, validationFile, nonFiniteFile, flippedFile, cutFile],
      folders: [join(logdir, 'train'), join(logdir, 'validation')],
      histograms: {...recorder.values, ...hardCases},
    });
    [train, validation, nonFinite, flipped, cut] = [
      trainFile,
      validationFile,
      nonFiniteFile,
      flippedFile,
      cutFile,
    ].map(file => reply.events[file]);
  });

  test('reads all events, with their steps and times', () => {
    expect(train[0]).toMatchObject({version: 'brain.Event:2', step: 0, values: []});
    expect(train.slice(1).map(({step}) => step)).toEqual([2, 3, 0, 4, 6, 1]);
    expect(validation.slice(1).map(({step}) => step)).toEqual([0, 1]);
    const times = train.map(({wallTime}) => wallTime);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.abs(Date.now() / 1000 - times[0])).toBeLessThan(3600);
  });

  test('finds the tags of its plugins', () => {
    const [trainTags, validationTags] = Object.values(reply.tags);
    expect(trainTags).toEqual({
      histograms: [
        'built_in/moving_mean',
        'built_in/moving_variance',
        'own/moving_mean',
        'own/moving_variance',
      ],
      scalars: [
        'batch_loss',
        'built_in/mean_distance',
        'built_in/variance_distance',
        'epoch_loss',
        'own/mean_distance',
        'own/variance_distance',
      ],
    });
    expect(validationTags).toEqual({scalars: ['epoch_loss']});
  });

  test.each(['own', 'built_in'].flatMap(l => ['mean', 'variance'].map(s => [l, s])))(
    "the histograms of %s's moving %s are NumPy's, bit for bit",
    (layer, statistic) => {
      const tag = `${layer}/moving_${statistic}`;
      const read = train.flatMap(({step, values}) =>
        values.filter(value => value.tag === tag).map(value => ({step, ...value})),
      );
      expect(read.map(({step}) => step)).toEqual([2, 3, 4, 6]);
      for (const {step, plugin, dtype, shape, values} of read) {
        expect({plugin, dtype, shape}).toEqual({
          plugin: 'histograms',
          dtype: 'float64',
          shape: [30, 3],
        });
        const {edges, counts} = reply.histograms[`${tag} ${step}`];
        expect(values).toEqual(counts.map((count, i) => [edges[i], edges[i + 1], count]));
      }
    },
  );

  test.each(Object.entries(hardCases))(
    "the histogram of %s is NumPy's, bit for bit",
    (name, values) => {
      expect(histogramOf(values)).toEqual(reply.histograms[name]);
    },
  );

  test('reads scalars as float32', () => {
    const losses = [...train, ...validation].flatMap(({values}) =>
      values.filter(({tag}) => tag.endsWith('loss')),
    );
    expect(losses).toHaveLength(4 + 2 + 2);
    for (const loss of losses) {
      expect(loss).toMatchObject({plugin: 'scalars', dtype: 'float32', shape: []});
      expect(loss.values).toBeGreaterThan(0);
    }
  });

  test('reads what is not finite, and what NumPy has no histogram for', () => {
    const {values} = nonFinite.find(({step}) => step === 6)!;
    const value = (tag: string) => values.find(value => value.tag === tag);
    expect(value('built_in/moving_mean')).toMatchObject({shape: [0, 3], values: []});
    expect(value('built_in/moving_mean_non_finite')).toMatchObject({values: 4});
    expect(value('built_in/mean_distance')).toMatchObject({values: 'nan'});
  });

  test('notices a flipped bit, and stops before that record', () => {
    expect(flipped.length).toBeLessThan(train.length);
    expect(flipped).toEqual(train.slice(0, flipped.length));
  });

  test('reads a file that was cut short up to the last whole record', () => {
    expect(cut).toEqual(train.slice(0, -1));
  });
});

test('a second training writes another file, which sorts behind the first', async () => {
  const logdir = join(root, 'twice');
  await fit(logdir);
  const first = filesOf(join(logdir, 'train'));
  await fit(logdir);
  const both = filesOf(join(logdir, 'train'));
  expect(both).toHaveLength(2);
  expect(both[0]).toBe(first[0]);
  expect(both[0]).toMatch(/events\.out\.tfevents\.\d{10}\..+\.0000$/);
});

test('a folder that cannot be made is an error before the first step', async () => {
  const file = join(root, 'a_file');
  writeFileSync(file, '');
  const model = twoNorms();
  const step = jest.spyOn(model.layers[1], 'call');
  await expect(fit(join(file, 'logs'), model)).rejects.toThrow(
    `MovingStatisticsSummary: event files can't be written to '${file}/logs/train': ENOTDIR`,
  );
  expect(step).not.toHaveBeenCalled();
});

test('a disk that fills up ends the training, and leaves whole records', async () => {
  const logdir = join(root, 'full');
  const {appendFile} = fs;
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
  });
  let appends = 0;
  let whole = 0;
  jest.spyOn(fs, 'appendFile').mockImplementation(async (path, content) => {
    if (++appends < 3) return appendFile(path, content);
    whole = statSync(path as string).size;
    await appendFile(path, (content as Uint8Array).slice(0, 100));
    throw full;
  });
  const model = twoNorms();
  const {numTensors} = tf.memory();
  await expect(fit(logdir, model)).rejects.toThrow(
    /^MovingStatisticsSummary: event files can't be written to '.*': ENOSPC: no space left/,
  );
  const [file] = filesOf(join(logdir, 'train'));
  expect(statSync(file).size).toBe(whole);
  expect(appends).toBe(3);
  // The data, which this test's fit leaves behind when it fails.
  expect(tf.memory().numTensors).toBe(numTensors + 2);
});

test('no file handle is left, however the training ends', async () => {
  const handles = () => readdirSync('/proc/self/fd').length;
  const before = handles();
  await fit(join(root, 'handles'));
  class Fails extends tfl.Callback {
    override async onBatchEnd(batch: number): Promise<void> {
      if (batch === 2) throw new Error('of another callback');
    }
  }
  await expect(fit(join(root, 'handles'), twoNorms(), new Fails())).rejects.toThrow(
    'of another callback',
  );
  expect(handles()).toBe(before);
});
