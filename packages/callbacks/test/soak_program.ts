/**
 * Trains with all the callbacks, in a process of its own, which has no timer or file of a test
 * runner:
 *
 *     node soak_program.js FOLDER EPOCHS STEPS_PER_EPOCH
 *
 * Says as JSON what it had open after the first epoch and after the last one, and what the
 * callbacks did.
 */
import {existsSync, readdirSync} from 'node:fs';
import {setTimeout} from 'node:timers/promises';

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';

import {AllCallbacks} from './all_callbacks';
import {compile, denseModel, makeBatch, makeDataset, resBatchNorm} from './models';

const [folder, ...numbers] = process.argv.slice(2);
const [epochs, batchesPerEpoch] = numbers.map(Number);
// No advice on faster backends.
tf.enableProdMode();
void main();

async function main(): Promise<void> {
  const model = compile(denseModel(resBatchNorm({name: 'bn'})));
  const {xs, ys} = makeBatch(16);
  const callbacks = new AllCallbacks(folder, {summary: 500, checkpoint: 900});
  const fit = (initialEpoch: number, epochs: number) =>
    model.fitDataset(makeDataset(batchesPerEpoch * (epochs - initialEpoch)), {
      initialEpoch,
      epochs,
      batchesPerEpoch,
      verbose: 0,
      validationData: [xs, ys],
      callbacks: callbacks.all,
    });
  // fit keeps the logs of each epoch as tensors until it ends, so the first one is a fit of
  // its own.
  await fit(0, 1);
  const first = await resources();
  await fit(1, epochs);
  const last = await resources();
  const outcome = await callbacks.outcome();
  process.stdout.write(JSON.stringify({first, last, outcome}));
}

/** How many there are of all that a program may run out of. */
async function resources(): Promise<Record<string, number>> {
  // What was closed a moment ago is gone then.
  await setTimeout(50);
  const counts: Record<string, number> = {tensors: tf.memory().numTensors};
  for (const emitter of [process, process.stdout, process.stderr]) {
    for (const event of emitter.eventNames()) {
      const listeners = `listeners of ${String(event)}`;
      counts[listeners] = (counts[listeners] ?? 0) + emitter.listenerCount(event);
    }
  }
  // Where the system tells. The streams above, once asked for, are open from then on.
  const descriptors = '/proc/self/fd';
  if (existsSync(descriptors)) counts.files = readdirSync(descriptors).length;
  // Timers, requests, handles: whatever keeps Node from ending.
  for (const kind of process.getActiveResourcesInfo()) {
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
