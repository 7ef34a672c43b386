/** One of a thing is not told as several, in whatever message. */
import {ResBatchNorm} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {compile, denseModel, kinds, makeBatch, makeDataset} from '../test/models';
import {PhaseGapCheck, ProgressBar, remainingBatches, UpdateOpsCheck} from '.';
import {counted, integer} from './counted';

test.each([
  [0, 'updates', '0 updates'],
  [1, 'updates', '1 update'],
  [7182, 'updates', '7,182 updates'],
])('%d %s', (count, _noun, text) => {
  expect(counted(count, 'update')).toBe(text);
});

test('a plural of its own', () => {
  expect(counted(1, 'batch', 'batches')).toBe('1 batch');
  expect(counted(2, 'batch', 'batches')).toBe('2 batches');
});

test('thousands', () => {
  expect(integer(12345.4)).toBe('12,345');
});

test.each(kinds)('%s: one update with too high a momentum', async (_name, norm) => {
  const {xs, ys} = makeBatch();
  const args = {momentum: 0.99} as object;
  const check = new PhaseGapCheck({data: {xs, ys}, onGap: () => {}});
  const model = compile(denseModel(norm(args)));
  await model.fit(xs, ys, {verbose: 0, callbacks: check});
  const [{layers}] = check.report();
  expect(layers[0].message).toMatch(/^after 1 update with momentum 0\.99, /);
});

test('one example of a gap', async () => {
  const {xs, ys} = makeBatch(1);
  const none = {loss: 0, distance: 0};
  const check = new PhaseGapCheck({data: {xs, ys}, threshold: none, onGap: 'throw'});
  const model = compile(denseModel(new ResBatchNorm()));
  await expect(check.check(model)).rejects.toThrow('on the same 1 example: ');
});

test('one update, which was skipped', async () => {
  const check = new UpdateOpsCheck();
  const model = compile(denseModel(new ResBatchNorm()));
  const nans = tf.fill<tf.Rank.R2>([8, 3], NaN);
  const {ys} = makeBatch();
  await expect(model.fit(nans, ys, {verbose: 0, callbacks: check})).rejects.toThrow(
    'skipped as non-finite: the last update. The mean or variance of the batch was not finite',
  );
});

test('one layer that is not a batch norm', async () => {
  const model = tfl.sequential({
    layers: [tfl.layers.dense({units: 1, inputShape: [3]})],
  });
  expect(() => new UpdateOpsCheck().step(model, () => {})).toThrow(
    'Received: a model with none among its 1 layer',
  );
});

test('one batch that a dataset must have', async () => {
  const dataset = remainingBatches(makeDataset(0) as never, {stepInEpoch: 1});
  const iterator = await dataset.iterator();
  await expect(iterator.next()).rejects.toThrow('at least 1 batch in an epoch. Received');
});

test('one example of a dataset of unknown size, at which training stops', async () => {
  const lines: string[] = [];
  const progress = new ProgressBar({stream: {write: line => lines.push(line)}});
  class Stop extends tfl.Callback {
    override async onBatchEnd(): Promise<void> {
      (this as unknown as {model: tfl.LayersModel}).model.stopTraining = true;
    }
  }
  const dataset = makeDataset(2, () => makeBatch(1)) as unknown as {size: number};
  dataset.size = Infinity;
  await compile(denseModel()).fitDataset(dataset as never, {
    epochs: 1,
    verbose: 0,
    callbacks: [new Stop(), progress],
  });
  expect(lines.join('')).toMatch(/^epoch 1\/1 {2}1 example {2}/);
});
