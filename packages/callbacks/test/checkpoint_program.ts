/**
 * The training of checkpointed_training.ts as a program:
 *
 *     node checkpoint_program.js train FOLDER        until it is killed
 *     node checkpoint_program.js fill FOLDER         until the disk is full
 *
 * The first writes a line for each step that it has saved. The second says as JSON how it
 * ended, since its disk ends with it.
 */
import {readdir} from 'node:fs/promises';

import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';

import {resume} from '../src/node';
import {train} from './checkpointed_training';

const [command, folder] = process.argv.slice(2);
// No advice on faster backends.
tf.enableProdMode();
if (command === 'train') {
  void train(folder, {onSaved: () => process.stdout.write('saved\n')});
} else {
  void fill();
}

async function fill(): Promise<void> {
  const message = await train(folder, {keep: 1000}).then(
    () => 'none',
    error => error.message,
  );
  const {checkpoint, step} = await resume(folder);
  const files = await readdir(folder);
  process.stdout.write(JSON.stringify({message, files, checkpoint, step}));
}
