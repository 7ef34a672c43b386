/** What replicas have to have in common before they train: the model, and the optimizer's state. */
import * as tf from '@tensorflow/tfjs-core';
import type {LayersModel} from '@tensorflow/tfjs-layers';

import {DistributedError} from './distributed_error.js';
import type {Replicas} from './replicas.js';

/** Two numbers that differ if the bytes do, but for one case in 2⁵²; for `gather`. */
export function checksum(parts: Iterable<ArrayBufferView>): number {
  // Source: FNV-1a, of 32 bits, run over the words twice, from different starts.
  let low = 0x811c9dc5;
  let high = 0x1b873593;
  for (const {buffer, byteOffset, byteLength} of parts) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (const byte of bytes) {
      low = Math.imul(low ^ byte, 0x01000193);
      high = Math.imul(high ^ byte, 0x5bd1e995) ^ (high >>> 15);
    }
  }
  return (low >>> 0) * 2 ** 20 + ((high >>> 0) & 0xfffff);
}

/**
 * @throws DistributedError that says on which ranks a value is another than on rank 0.
 */
export function checkEqual(replicas: Replicas, what: string, value: number): void {
  const values = replicas.gather(what, Float64Array.of(value)).map(([first]) => first);
  const others = [...values.keys()].filter(rank => !Object.is(values[rank], values[0]));
  if (others.length === 0) return;
  throw new DistributedError(
    `Rank ${replicas.rank}: ${what} must be the same on all replicas. Received: on rank ` +
      `${others.join(', ')} other than on rank 0`,
  );
}

const encode = (text: string) => new TextEncoder().encode(text);

/** Gives all replicas the weights of rank 0. */
export function broadcastWeights(replicas: Replicas, model: LayersModel): void {
  const {weights} = model;
  const described = weights.map(({originalName, shape, dtype}) => [
    originalName,
    shape,
    dtype,
  ]);
  const description = checksum([encode(JSON.stringify(described))]);
  checkEqual(
    replicas,
    `the model, '${model.name}' with ${weights.length} weights`,
    description,
  );
  for (const weight of weights) {
    const values = weight.read().dataSync();
    replicas.broadcast(`weight ${weight.originalName}`, bytesOf(values));
    if (replicas.isChief) continue;
    const {shape, dtype} = weight.read();
    const value = tf.tensor(values, shape, dtype);
    weight.write(value);
    value.dispose();
  }
}

/** Gives all replicas the state of the optimizer of rank 0. Some may have none yet. */
export async function broadcastOptimizer(
  replicas: Replicas,
  optimizer: tf.Optimizer,
): Promise<void> {
  const state = await optimizer.getWeights();
  const own = state.map(({name, tensor: {shape, dtype}}) => ({name, shape, dtype}));
  const entries = JSON.parse(broadcastText(replicas, JSON.stringify(own))) as typeof own;
  const received = entries.map(({name, shape, dtype}, i) => {
    const size = tf.util.sizeFromShape(shape);
    const values = replicas.isChief
      ? state[i].tensor.dataSync()
      : tf.util.getTypedArrayFromDType(dtype as 'float32', size);
    replicas.broadcast(`optimizer's ${name}`, bytesOf(values));
    return {name, tensor: tf.tensor(values, shape, dtype)};
  });
  if (!replicas.isChief && received.length > 0) await optimizer.setWeights(received);
  tf.dispose(received.map(({tensor}) => tensor));
}

/** A number of rank 0. */
export function broadcastNumber(replicas: Replicas, what: string, value: number): number {
  const values = Float64Array.of(value);
  replicas.broadcast(what, bytesOf(values));
  return values[0];
}

function broadcastText(replicas: Replicas, text: string): string {
  const own = encode(text);
  const length = broadcastNumber(replicas, "size of the optimizer's state", own.length);
  const bytes = new Uint8Array(length);
  if (replicas.isChief) bytes.set(own);
  replicas.broadcast("names of the optimizer's state", bytes);
  return new TextDecoder().decode(bytes);
}

function bytesOf({buffer, byteOffset, byteLength}: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
