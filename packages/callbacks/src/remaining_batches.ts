/** What is left of a dataset for an epoch that is gone on with in its middle. */
import {ValueError} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';

import {checkArguments, checkWholeNumber} from './arguments.js';
import {counted} from './counted.js';

/** A dataset as `fitDataset` takes it. */
export interface BatchDataset<T> {
  /** Batches of a pass. */
  size: number;
  iterator(): Promise<BatchIterator<T>>;
}

export interface BatchIterator<T> {
  next(): Promise<IteratorResult<T>>;
}

export interface RemainingBatchesOptions {
  /** Batches of the first epoch that were trained on already: `stepInEpoch` of `resume`. */
  stepInEpoch: number;
  /**
   * For a dataset that goes on from epoch to epoch: how many batches an epoch has. It takes
   * the place of the argument of `fitDataset` with that name, which must not be given then.
   */
  batchesPerEpoch?: number;
}

const NAME = 'remainingBatches';

/**
 * The dataset without the batches that were trained on before the training was stopped, in
 * the middle of an epoch:
 *
 *     const {model, epoch, stepInEpoch} = await resume('checkpoints');
 *     await model.fitDataset(remainingBatches(dataset, {stepInEpoch}), {
 *       epochs: 20,
 *       initialEpoch: epoch,
 *     });
 *
 * The first pass leaves out its first `stepInEpoch` batches, which are made and disposed of;
 * the others are those of the dataset. With `batchesPerEpoch` the dataset is one pass over all
 * epochs that begins with the epoch to resume (tf.data: `skip(epoch * batchesPerEpoch)`), and
 * is divided into epochs here.
 *
 * @throws ValueError if an argument is wrong, and in training if the dataset ends too early.
 */
export function remainingBatches<T>(
  dataset: BatchDataset<T>,
  options: RemainingBatchesOptions,
): BatchDataset<T> {
  checkArguments(NAME, options, ['stepInEpoch', 'batchesPerEpoch']);
  const {stepInEpoch, batchesPerEpoch} = options;
  checkWholeNumber(NAME, 'stepInEpoch', stepInEpoch, 0);
  if (batchesPerEpoch === undefined) return skipInFirstPass(dataset, stepInEpoch);
  checkWholeNumber(NAME, 'batchesPerEpoch', batchesPerEpoch, Math.max(stepInEpoch, 1));
  return divide(skipInFirstPass(dataset, stepInEpoch), stepInEpoch, batchesPerEpoch);
}

/**
 * `fitDataset` makes an iterator that it may never ask for a batch, so the first pass is the
 * one that is first asked for one.
 */
function skipInFirstPass<T>(dataset: BatchDataset<T>, count: number): BatchDataset<T> {
  let left = count;
  return {
    size: dataset.size,
    async iterator() {
      const iterator = await dataset.iterator();
      return {
        async next() {
          for (; left > 0; left--) {
            const {value, done} = await iterator.next();
            if (done) throw tooShort(count - left, count);
            tf.dispose(value as tf.TensorContainer);
          }
          return iterator.next();
        },
      };
    },
  };
}

/** Passes of `batchesPerEpoch` batches from one iterator, the first of them shorter. */
function divide<T>(
  dataset: BatchDataset<T>,
  stepInEpoch: number,
  batchesPerEpoch: number,
): BatchDataset<T> {
  let batches: Promise<BatchIterator<T>> | undefined;
  let first = batchesPerEpoch - stepInEpoch;
  return {
    size: batchesPerEpoch,
    async iterator() {
      let left: number | undefined;
      return {
        async next() {
          if (left === undefined) {
            left = first;
            first = batchesPerEpoch;
          }
          if (left === 0) return {value: null, done: true};
          batches ??= dataset.iterator();
          const result = await (await batches).next();
          if (result.done) throw tooShort(batchesPerEpoch - left, batchesPerEpoch);
          left -= 1;
          return result;
        },
      };
    },
  };
}

function tooShort(received: number, expected: number): ValueError {
  return new ValueError(
    `${NAME}: the dataset must have at least ${counted(expected, 'batch', 'batches')} in ` +
      'an epoch. ' +
      `Received: its end after ${received}`,
  );
}
