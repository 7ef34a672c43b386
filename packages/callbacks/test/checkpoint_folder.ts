/** A folder for the checkpoints of a test, and short trainings to fill it. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {makeBatch} from './models';

/** The path of a folder that is new in each test, and removed after it. */
export function useFolder(): () => string {
  let path: string;
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'checkpoint-'));
  });
  afterEach(() => rm(path, {recursive: true}));
  return () => path;
}

/** The name of the n-th checkpoint of a folder. */
export function nameOf(n: number): string {
  return `checkpoint-${String(n).padStart(8, '0')}`;
}

/** Trains for three steps an epoch. */
export async function fit(
  model: tfl.LayersModel,
  callbacks: tfl.Callback[],
  args: tfl.ModelFitArgs = {},
): Promise<tfl.History> {
  const {xs, ys} = makeBatch(24);
  try {
    return await model.fit(xs, ys, {batchSize: 8, verbose: 0, ...args, callbacks});
  } finally {
    tf.dispose([xs, ys]);
  }
}
