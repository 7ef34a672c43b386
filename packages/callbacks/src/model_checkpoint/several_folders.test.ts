/** One training with checkpoints in several folders, and how its steps are counted. */
import {readdir} from 'node:fs/promises';
import {join} from 'node:path';

import * as tfl from '@tensorflow/tfjs-layers';

import {fit, nameOf, useFolder} from '../../test/checkpoint_folder';
import {compile, denseModel} from '../../test/models';
import {ModelCheckpoint, resume} from '../node';

const folder = useFolder();
const latest = () => join(folder(), 'latest');
const best = () => join(folder(), 'best');

/** Gives each epoch one of the values, and saves the latest and the best. */
function callbacksWith(values: number[]): tfl.Callback[] {
  class Values extends tfl.Callback {
    override async onEpochEnd(epoch: number, logs: tfl.Logs): Promise<void> {
      logs.quality = values[epoch];
    }
  }
  return [
    new Values(),
    new ModelCheckpoint({path: latest(), everySteps: 2, keep: 9}),
    new ModelCheckpoint({path: best(), monitor: 'quality', saveBestOnly: true}),
  ];
}

test('a second training of the model goes on in both', async () => {
  const model = compile(denseModel());
  await fit(model, callbacksWith([2, 1]), {epochs: 2});
  await fit(model, callbacksWith([3, 0.5]), {epochs: 2});
  expect(await readdir(best())).toEqual([nameOf(1), nameOf(2), nameOf(3)]);
  expect(await resume(best())).toMatchObject({step: 12, best: {value: 0.5}});
  expect(await resume(latest())).toMatchObject({step: 12, best: null});
});

test.each([
  ['latest', latest],
  ['best', best],
])('a training that is resumed from the %s goes on in both', async (_name, from) => {
  await fit(compile(denseModel()), callbacksWith([2, 1, 3]), {epochs: 3});
  const {model, epoch} = await resume(from());
  // Worse than the second epoch, and then better.
  await fit(model, callbacksWith([0, 0, 2, 1.5, 0.5]), {epochs: 5, initialEpoch: epoch});
  expect(await readdir(best())).toEqual([nameOf(1), nameOf(2), nameOf(3)]);
  expect(await resume(best())).toMatchObject({epoch: 5, step: 15, best: {value: 0.5}});
  expect(await resume(latest())).toMatchObject({epoch: 5, step: 15});
});

test('the folders of another training are still refused', async () => {
  await fit(compile(denseModel()), [new ModelCheckpoint({path: latest()})]);
  await fit(compile(denseModel()), [new ModelCheckpoint({path: best()})]);
  const {model} = await resume(latest());
  await expect(fit(model, callbacksWith([1]))).rejects.toThrow(
    `ModelCheckpoint: '${best()}' holds checkpoints of another training`,
  );
});

describe('steps are counted', () => {
  test('from what a loop of the user saved, in the model of functions, too', async () => {
    const input = tfl.input({shape: [3]});
    const output = tfl.layers.dense({units: 1}).apply(input) as tfl.SymbolicTensor;
    const model = compile(tfl.model({inputs: input, outputs: output}));
    const checkpoint = new ModelCheckpoint({path: folder()});
    await checkpoint.save(model, {epoch: 5, step: 500});
    await fit(model, [checkpoint], {initialEpoch: 5, epochs: 6});
    expect(await resume(folder())).toMatchObject({epoch: 6, step: 503});
  });

  test('also where they are not saved', async () => {
    const model = compile(denseModel());
    for (const value of [2, 3, 1]) {
      const [values, , bestOnly] = callbacksWith([value]);
      await fit(model, [values, bestOnly]);
    }
    expect(await resume(best())).toMatchObject({step: 9, best: {value: 1}});
  });
});
