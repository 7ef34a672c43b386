/** The batches that both modes are run on, from what `fit` and `fitDataset` take. */
import {describe, ValueError} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';

/** One tensor, several in the order of the model's, or several by name. */
export type ProbeTensors = tf.Tensor | tf.Tensor[] | tf.NamedTensorMap;

/** Examples: the inputs, and the targets of the loss and the metrics. */
export interface ProbeExamples {
  xs: ProbeTensors;
  ys: ProbeTensors;
}

/** What a dataset of tf.data is, as far as it matters here. */
export interface ProbeDataset {
  iterator(): Promise<{next(): Promise<{value: ProbeExamples; done?: boolean}>}>;
}

export type ProbeData = ProbeExamples | readonly ProbeExamples[] | ProbeDataset;

/** How the batches are taken from the data. */
export interface ProbeSize {
  batchSize: number;
  /** At most so many batches. */
  steps: number;
}

export interface ProbeBatch extends ProbeExamples {
  /** How many examples it has. */
  size: number;
}

/** @throws ValueError if `data` has none of the forms of ProbeData. */
export function checkProbeData(where: string, data: unknown): void {
  const isFit = Array.isArray(data)
    ? data.length > 0 && data.every(isExamples)
    : isExamples(data) || isDataset(data);
  if (isFit) return;
  throw dataError(
    where,
    '{xs, ys} of tensors, an array of such batches that is not empty, or a dataset of them',
    describeData(data),
  );
}

/**
 * Goes through the batches. Those of a dataset are disposed of once used, as `fitDataset` does;
 * all others stay the caller's.
 *
 * @throws ValueError if there is none, or one without tensors or examples.
 */
export async function* probeBatches(
  where: string,
  data: ProbeData,
  size: ProbeSize,
): AsyncGenerator<ProbeBatch> {
  let count = 0;
  for await (const examples of firstBatches(data, size)) {
    if (!isExamples(examples)) {
      throw dataError(where, 'a dataset of {xs, ys} of tensors', describe(examples));
    }
    yield {...examples, size: sizeOf(where, examples)};
    count += 1;
  }
  if (count === 0) throw dataError(where, 'a batch or more', 'none');
}

async function* firstBatches(
  data: ProbeData,
  {batchSize, steps}: ProbeSize,
): AsyncGenerator<ProbeExamples> {
  if (isDataset(data)) {
    yield* firstOfDataset(data, steps);
  } else if (isExamples(data)) {
    yield* slices(data, batchSize, steps);
  } else {
    yield* data.slice(0, steps);
  }
}

async function* firstOfDataset(
  dataset: ProbeDataset,
  steps: number,
): AsyncGenerator<ProbeExamples> {
  const iterator = await dataset.iterator();
  for (let i = 0; i < steps; i++) {
    const {value, done} = await iterator.next();
    if (done) return;
    try {
      yield value;
    } finally {
      tf.dispose(value as unknown as tf.TensorContainer);
    }
  }
}

function* slices(
  {xs, ys}: ProbeExamples,
  batchSize: number,
  steps: number,
): Generator<ProbeExamples> {
  const total = Math.min(batchSize * steps, firstTensor(xs).shape[0] ?? 0);
  for (let start = 0; start < total; start += batchSize) {
    const slice = (tensor: tf.Tensor) =>
      tf.slice(tensor, start, Math.min(batchSize, total - start));
    const batch = {xs: mapTensors(xs, slice), ys: mapTensors(ys, slice)};
    try {
      yield batch;
    } finally {
      tf.dispose([batch.xs, batch.ys]);
    }
  }
}

function mapTensors(
  tensors: ProbeTensors,
  fn: (tensor: tf.Tensor) => tf.Tensor,
): ProbeTensors {
  if (tensors instanceof tf.Tensor) return fn(tensors);
  if (Array.isArray(tensors)) return tensors.map(fn);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [name, fn(tensor)]),
  );
}

/** @throws ValueError if the inputs and targets are not of the same number of examples. */
function sizeOf(where: string, {xs, ys}: ProbeExamples): number {
  const sizes = [xs, ys].flatMap(allTensors).map(({shape}) => shape[0] ?? 0);
  const [size] = sizes;
  if (size > 0 && sizes.every(other => other === size)) return size;
  throw dataError(
    where,
    'batches of one example or more, as many in the targets as in the inputs',
    `tensors of ${sizes.join(', ')} examples`,
  );
}

/** The parts of an object by themselves, as tensors are too long to be shown. */
function describeData(data: unknown): string {
  if (Array.isArray(data)) return `an array of ${data.length}`;
  if (typeof data !== 'object' || data === null) return describe(data);
  const parts = Object.entries(data).map(([name, part]) => `${name}: ${describe(part)}`);
  return `{${parts.join(', ')}}`;
}

function dataError(where: string, expected: string, received: string): ValueError {
  return new ValueError(
    `${where}: argument 'data' must be ${expected}. Received: ${received}`,
  );
}

function firstTensor(tensors: ProbeTensors): tf.Tensor {
  return allTensors(tensors)[0];
}

function allTensors(tensors: ProbeTensors): tf.Tensor[] {
  return tensors instanceof tf.Tensor ? [tensors] : Object.values(tensors);
}

function isDataset(data: unknown): data is ProbeDataset {
  return typeof (data as Partial<ProbeDataset> | null)?.iterator === 'function';
}

function isExamples(data: unknown): data is ProbeExamples {
  const {xs, ys} = (data ?? {}) as Partial<Record<'xs' | 'ys', unknown>>;
  return [xs, ys].every(tensors => {
    if (typeof tensors !== 'object' || tensors === null) return false;
    const all = allTensors(tensors as ProbeTensors);
    return all.length > 0 && all.every(tensor => tensor instanceof tf.Tensor);
  });
}
