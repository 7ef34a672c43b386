/** What is timed, and how; and the simplest of all, a copy, which tells how fast the memory is. */
import type {Device} from '@resbatchnorm/tools-common/device';
import * as tf from '@tensorflow/tfjs-core';

/** Makes `count` calls, and resolves when the last one has been computed. */
export type Contender = (count: number) => Promise<void>;

/** The data of a task, and what is timed with it. */
export interface PreparedTask {
  contenders: Record<string, Contender>;
  parameters?: Record<string, number>;
  dispose(): void;
}

/** Milliseconds of one call. */
export async function time(contender: Contender, count: number): Promise<number> {
  // What the contender before has left is not this one's to clear away.
  (globalThis as {gc?: () => void}).gc?.();
  // And what it has put out of the caches comes back.
  if (count > 1) await contender(1);
  const start = performance.now();
  await contender(count);
  return (performance.now() - start) / count;
}

/** A function that makes tensors, as a contender; they are disposed of. */
export function tensorContender(call: () => tf.Tensor[]): Contender {
  return async count => {
    for (let i = 1; i < count; i++) tf.dispose(tf.tidy(call));
    const last = tf.tidy(call);
    await arrival(last);
    tf.dispose(last);
  };
}

/**
 * Resolves when the tensors have been computed. A device computes in the order of the calls, so
 * one value of each tells as much as all of it.
 */
async function arrival(tensors: tf.Tensor[]): Promise<void> {
  const values = tensors.map(tensor =>
    tf.slice(tensor, Array(tensor.rank).fill(0), Array(tensor.rank).fill(1)),
  );
  await Promise.all(values.map(value => value.data()));
  tf.dispose(values);
}

/** Copies a large array on the device. */
export function prepareCopy(values: number, {kind}: Device): PreparedTask {
  return kind === 'cpu' ? copyArray(values) : copyTensor(values);
}

function copyArray(values: number): PreparedTask {
  const source = new Float32Array(values).fill(1);
  const target = new Float32Array(values);
  const copy = async (count: number) => {
    for (let i = 0; i < count; i++) target.set(source);
  };
  return {contenders: {copy}, dispose: () => {}};
}

/** No op copies: tf.clone shares the buffer. Negation reads and writes as much. */
function copyTensor(values: number): PreparedTask {
  // Of rank 2, which every backend has in one texture or buffer.
  const x = tf.ones([values / 1024, 1024]);
  return {
    contenders: {copy: tensorContender(() => [tf.neg(x)])},
    dispose: () => x.dispose(),
  };
}
