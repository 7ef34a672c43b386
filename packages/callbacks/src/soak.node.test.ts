/** All the callbacks at once: in any order, and over so many steps that a leak would show. */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {AllCallbacks, outcomeOf} from '../test/all_callbacks';
import {bundleProgram} from '../test/bundle_program';
import {compile, denseModel, makeBatch, resBatchNorm} from '../test/models';

let folder: string;

beforeAll(async () => {
  // No advice on faster backends.
  tf.enableProdMode();
  await tf.setBackend('cpu');
  folder = mkdtempSync(join(tmpdir(), 'soak-'));
});

afterAll(() => rmSync(folder, {recursive: true}));

test('10,000 steps leave no tensor, file, listener or timer behind', () => {
  const [epochs, stepsPerEpoch] = [10, 1000];
  const program = join(folder, 'program.cjs');
  bundleProgram('soak_program.ts', program);
  // It also has to end: nothing is left that keeps it running.
  const args = [program, join(folder, 'soak'), epochs, stepsPerEpoch].map(String);
  const {first, last, outcome} = JSON.parse(
    execFileSync(process.execPath, args, {encoding: 'utf8', timeout: 150_000}),
  );
  expect(last).toEqual(first);
  expect(first.tensors).toBeGreaterThan(0);
  expect(outcome).toEqual(outcomeOf(epochs, epochs * stepsPerEpoch));
});

type Order = (all: readonly tfl.Callback[]) => tfl.Callback[];

test.each<[string, Order]>([
  ['as the trainer has them', all => [...all]],
  ['backwards', all => [...all].reverse()],
  ["tfjs's own first", all => [...all.slice(5), ...all.slice(0, 5)]],
  [
    'every second one first',
    all => [1, 0].flatMap(n => all.filter((_, i) => i % 2 === n)),
  ],
])('they compose in fit, %s', async (name, order) => {
  const model = compile(denseModel(resBatchNorm({name: 'bn'})));
  const {xs, ys} = makeBatch(24);
  const callbacks = new AllCallbacks(join(folder, name), {summary: 2, checkpoint: 2});
  const epochs = 3;
  const {epoch, history} = await model.fit(xs, ys, {
    epochs,
    batchSize: 8,
    verbose: 0,
    validationData: [xs, ys],
    callbacks: order(callbacks.all),
  });
  expect(epoch).toHaveLength(epochs);
  expect(history).toMatchObject({
    loss: expect.anything(),
    val_loss: expect.anything(),
    phase_gap_loss: expect.anything(),
  });
  expect(await callbacks.outcome()).toEqual(outcomeOf(epochs, epochs * 3));
});
