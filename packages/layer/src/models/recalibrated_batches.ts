/** The batches that `recalibrate` is given, in any of the forms that they may have. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {describe, ValueError} from '../errors.js';

/** The inputs of a model: one tensor, several in order, or several by the inputs' names. */
export type BatchInputs = tf.Tensor | tf.Tensor[] | tf.NamedTensorMap;

/** Inputs, or an element of a dataset as `fitDataset` takes it, whose `ys` are not used. */
export type Batch = BatchInputs | {xs: BatchInputs; ys?: unknown};

/** What a dataset of tf.data is, as far as it matters here. */
interface BatchDataset {
  iterator(): Promise<{next(): Promise<{value: Batch; done?: boolean}>}>;
}

export type Batches = Iterable<Batch> | AsyncIterable<Batch> | BatchDataset;

const isObject = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === 'object' && value !== null;

const isDataset = (batches: Batches): batches is BatchDataset =>
  isObject(batches) && typeof batches.iterator === 'function';

/** @throws ValueError if they can't be iterated over. */
export function checkBatches(batches: unknown): asserts batches is Batches {
  const isIterable =
    isObject(batches) &&
    ['iterator', Symbol.iterator, Symbol.asyncIterator].some(
      key => typeof batches[key] === 'function',
    );
  if (!isIterable) {
    throw new ValueError(
      'recalibrate: batches must be an iterable or async iterable of batches, as an array, ' +
        `or a dataset of tf.data. Received: ${describe(batches)}`,
    );
  }
}

/**
 * Goes through the batches. Those of a dataset belong to nobody else and are disposed once used,
 * as `fitDataset` does.
 */
export async function* eachBatch(batches: Batches): AsyncGenerator<Batch> {
  if (!isDataset(batches)) {
    yield* batches;
    return;
  }
  const iterator = await batches.iterator();
  for (;;) {
    const {value, done} = await iterator.next();
    if (done) return;
    try {
      yield value;
    } finally {
      tf.dispose(value as tf.TensorContainer);
    }
  }
}

/**
 * The inputs in a batch, in the order of the model's.
 *
 * @throws ValueError that names the batch, counted from 0, and what does not fit.
 */
export function inputsIn(
  batch: unknown,
  index: number,
  {inputs}: tfl.LayersModel,
): tf.Tensor[] {
  // A sequential model knows its inputNames only after its first call.
  const names = inputs.map(({sourceLayer}) => sourceLayer.name);
  const refuse = (what: string, received: unknown): never => {
    throw new ValueError(
      `recalibrate: batch ${index} must have ${what}. Received: ${describe(received)}`,
    );
  };
  const isElement = isObject(batch) && 'xs' in batch && !names.includes('xs');
  const xs: unknown = isElement ? batch.xs : batch;
  const isByName = isObject(xs) && !Array.isArray(xs) && !(xs instanceof tf.Tensor);
  const tensors = isByName ? names.map(name => xs[name]) : [xs].flat();
  const isAll = tensors.length === names.length;
  if (!isAll || !tensors.every(tensor => tensor instanceof tf.Tensor)) {
    refuse(
      names.length === 1
        ? 'one tensor, the input'
        : `${names.length} tensors, the inputs, in this order or by name: ` +
            names.join(', '),
      isByName ? Object.keys(xs) : xs,
    );
  }
  (tensors as tf.Tensor[]).forEach(({shape}, i) => {
    const expected = inputs[i].shape;
    const isFit =
      shape.length === expected.length &&
      shape.every((size, axis) => expected[axis] === null || size === expected[axis]);
    if (!isFit) {
      refuse(`an input '${names[i]}' of shape ${describe(expected)}`, shape);
    }
  });
  return tensors as tf.Tensor[];
}
