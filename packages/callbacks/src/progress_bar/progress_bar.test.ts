import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';

import {compile, denseModel, makeBatch, makeDataset} from '../../test/models';
import type {Batch} from '../../test/models';
import {ProgressBar, remainingBatches} from '..';
import type {BatchDataset, ProgressBarArgs} from '..';
import {ModelCheckpoint, resume} from '../node';
import {bar, duration, quantity} from './format';
import {RunningMeans} from './progress_bar';

class Recorder {
  text = '';
  columns = 120;

  constructor(readonly isTTY: boolean) {}

  write(text: string): void {
    this.text += text;
  }
}

/** Time that goes on by itself alone: a second whenever it is asked for. */
function tickBy(ms: number) {
  let now = 0;
  return jest.spyOn(tf.util, 'now').mockImplementation(() => (now += ms));
}

afterEach(() => jest.restoreAllMocks());

async function fit(stream: Recorder, args: ProgressBarArgs = {}) {
  const {xs, ys} = makeBatch(12);
  await compile(denseModel()).fit(xs, ys, {
    epochs: 2,
    batchSize: 8,
    verbose: 0,
    validationData: [xs, ys],
    callbacks: new ProgressBar({stream, ...args}),
  });
  return stream.text;
}

test('a file or a pipe gets a line an epoch, validation included', async () => {
  const lines = (await fit(new Recorder(false))).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(
    /^epoch 1\/2 {2}12\/12 {2}val_loss [\d.e-]+ {2}loss [\d.e-]+ {2}[\d,.]+ examples\/s {2}\d:\d\d left$/,
  );
  expect(lines[1]).toMatch(/^epoch 2\/2 {2}12\/12 .* 0:00 left$/);
});

test('the last line of an epoch has the numbers of fit', async () => {
  const stream = new Recorder(false);
  const {xs, ys} = makeBatch(12);
  const {history} = await compile(denseModel()).fit(xs, ys, {
    verbose: 0,
    callbacks: new ProgressBar({stream}),
  });
  expect(stream.text).toContain(`loss ${(history.loss[0] as number).toFixed(4)}`);
});

test('within an epoch, a line every lineEverySeconds', async () => {
  tickBy(1000);
  const lines = (await fit(new Recorder(false), {lineEverySeconds: 1})).split('\n');
  expect(lines[0]).toMatch(/^epoch 1\/2 {2}8\/12 {2}loss/);
  expect(lines[1]).toMatch(/^epoch 1\/2 {2}12\/12 {2}loss/);
});

test('of a dataset, whose examples nobody knows, the steps are counted at first', async () => {
  tickBy(1000);
  const stream = new Recorder(false);
  await compile(denseModel()).fitDataset(makeDataset(3), {
    epochs: 2,
    verbose: 0,
    callbacks: new ProgressBar({stream, lineEverySeconds: 1}),
  });
  const lines = stream.text.split('\n');
  expect(lines[0]).toMatch(/^epoch 1\/2 {2}step 1\/3 {2}loss/);
  expect(lines.at(-2)).toMatch(/^epoch 2\/2 {2}24\/24 {2}loss/);
});

test('a terminal gets one line an epoch that is drawn again', async () => {
  tickBy(1000);
  const lines = (await fit(new Recorder(true))).split('\n');
  expect(lines).toHaveLength(3);
  const drawn = lines[0].split('\r');
  expect(drawn[1]).toContain('epoch 1/2  █████████████░░░░░░░  loss ');
  expect(drawn.at(-1)).toContain('epoch 1/2  ████████████████████  ');
});

test('no line is wider than the terminal', async () => {
  const stream = new Recorder(true);
  stream.columns = 30;
  const text = await fit(stream);
  const widths = text
    .replaceAll('\x1b[K', '')
    .split(/[\r\n]/)
    .map(line => line.length);
  expect(Math.max(...widths)).toBe(29);
});

test('a dataset of unknown size: no time left until its first end', async () => {
  const stream = new Recorder(false);
  const dataset = Object.assign(makeDataset(3), {size: null});
  await compile(denseModel()).fitDataset(dataset, {
    epochs: 2,
    verbose: 0,
    callbacks: new ProgressBar({stream}),
  });
  const lines = stream.text.split('\n');
  expect(lines[0]).toMatch(/^epoch 1\/2 {2}24\/24 {2}loss/);
  expect(lines[1]).toMatch(/^epoch 2\/2 {2}24\/24 {2}loss/);
});

test.each([
  ['lines', false, /^epoch 2\/2 {2}32\/32 {2}loss .* 0:00 left$/],
  ['a bar', true, /epoch 2\/2 {2}█{20} {2}loss .* 0:00 left/],
])('an epoch that was resumed in its middle, as %s', async (_name, isTTY, line) => {
  const path = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  const at = {epoch: 1, stepInEpoch: 3, step: 7};
  await new ModelCheckpoint({path}).save(compile(denseModel()), at);
  const {model, epoch, stepInEpoch} = await resume(path);
  await rm(path, {recursive: true});
  const stream = new Recorder(isTTY);
  const data = makeDataset(4) as unknown as BatchDataset<Batch>;
  await model.fitDataset(remainingBatches(data, {stepInEpoch}), {
    initialEpoch: epoch,
    epochs: 2,
    verbose: 0,
    callbacks: new ProgressBar({stream}),
  });
  expect(stream.text.split('\n')[0].split('\r').at(-1)).toMatch(line);
});

test('close ends a line that is being drawn, and only such a one', async () => {
  tickBy(1000);
  const stream = new Recorder(true);
  const progress = new ProgressBar({stream});
  progress.close();
  expect(stream.text).toBe('');
  const {xs, ys} = makeBatch(12);
  const stop = {onBatchEnd: async () => progress.close()};
  await compile(denseModel()).fit(xs, ys, {
    batchSize: 8,
    verbose: 0,
    callbacks: [
      progress,
      Object.assign(new ProgressBar({stream: new Recorder(false)}), stop),
    ],
  });
  expect(stream.text.match(/\n/g)).toHaveLength(3);
});

test('keeps no tensor', async () => {
  const {xs, ys} = makeBatch(12);
  const model = compile(denseModel());
  const stream = new Recorder(true);
  const run = () => model.fit(xs, ys, {verbose: 0, callbacks: new ProgressBar({stream})});
  await run();
  const before = tf.memory().numTensors;
  await run();
  expect(tf.memory().numTensors).toBe(before);
});

test.each<[string, unknown]>([
  [
    "ProgressBar: the arguments are 'stream', 'lineEverySeconds'. Received: \"every\"",
    {every: 1},
  ],
  [
    "ProgressBar: argument 'stream' must be an object with write(text). Received: 1",
    {stream: 1},
  ],
  [
    "ProgressBar: argument 'lineEverySeconds' must be a number of seconds above 0. Received: 0",
    {lineEverySeconds: 0},
  ],
])('%s', (message, args) => {
  expect(() => new ProgressBar(args as ProgressBarArgs)).toThrow(message);
});

test('means over the examples of all steps that were added', async () => {
  const means = new RunningMeans();
  await means.add({batch: 0, size: 8, loss: 3, acc: tf.scalar(0.25)});
  await means.add({batch: 1, size: 4, loss: 0, acc: tf.scalar(1)});
  expect(means.get()).toEqual({loss: 2, acc: 0.5});
});

describe('numbers', () => {
  test.each([
    [0.4, '0:00'],
    [83.4, '1:23'],
    [3725, '1:02:05'],
    [Infinity, '?:??'],
  ])('duration of %d s', (seconds, text) => expect(duration(seconds)).toBe(text));

  test.each([
    [0, '0.0000'],
    [0.123456, '0.1235'],
    [1.2e-7, '1.20e-7'],
    [NaN, 'NaN'],
  ])('quantity %d', (value, text) => expect(quantity(value)).toBe(text));

  test('bar', () => {
    expect(bar(0.5)).toBe('██████████░░░░░░░░░░');
    expect(bar(1.2)).toBe('████████████████████');
  });
});
