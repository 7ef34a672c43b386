import * as tf from '@tensorflow/tfjs-core';

import {describe, ValueError} from '../errors.js';
import {
  fileDTypes,
  isMetadata,
  isObject,
  LENGTH_BYTES,
  METADATA,
  writers,
  type DType,
} from './safetensors_format.js';

// There in every runtime, and in neither of the type libraries that they share.
declare class TextEncoder {
  encode(text: string): Uint8Array;
}

/**
 * Writes tensors as a .safetensors file: float32 as F32, int32 as I32, bool as BOOL. Reads all
 * of them back from the device.
 *
 * @param metadata Goes into the file's header as it is.
 * @returns All of the file.
 * @throws ValueError if a tensor is disposed or of another type, a name is '__metadata__', or
 *     the metadata are not strings.
 */
export async function encodeSafetensors(
  tensors: tf.NamedTensorMap,
  metadata: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  checkTensors(tensors);
  checkMetadata(metadata);
  // As the reference implementation does, so that all numbers are aligned: the wide first.
  const sizeOf = (name: string) => fileDTypes[writerOf(tensors[name]).name].size;
  const names = Object.keys(tensors).sort(
    (a, b) => sizeOf(b) - sizeOf(a) || (a < b ? -1 : 1),
  );
  const values = await Promise.all(names.map(name => tensors[name].data()));
  let end = 0;
  const entries = names.map((name): [string, unknown] => {
    const {shape, size} = tensors[name];
    const begin = end;
    end += size * sizeOf(name);
    const dtype = writerOf(tensors[name]).name;
    return [name, {dtype, shape, data_offsets: [begin, end]}];
  });
  if (Object.keys(metadata).length > 0) entries.unshift([METADATA, metadata]);
  const header = Object.fromEntries(entries);
  const text = padded(new TextEncoder().encode(JSON.stringify(header)));
  const file = new Uint8Array(LENGTH_BYTES + text.length + end);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(text.length), true);
  file.set(text, LENGTH_BYTES);
  let at = LENGTH_BYTES + text.length;
  names.forEach((name, i) => {
    for (const value of values[i]) {
      writerOf(tensors[name]).write(view, at, value);
      at += sizeOf(name);
    }
  });
  return file;
}

/** With spaces at the end, to a length that keeps the numbers aligned. */
function padded(text: Uint8Array): Uint8Array {
  const length = Math.ceil(text.length / LENGTH_BYTES) * LENGTH_BYTES;
  const result = new Uint8Array(length).fill(' '.charCodeAt(0));
  result.set(text);
  return result;
}

function writerOf({dtype}: tf.Tensor) {
  return writers[dtype as DType];
}

function checkTensors(tensors: unknown): asserts tensors is tf.NamedTensorMap {
  const refuseTo = (what: string, received: unknown): never => {
    throw new ValueError(`encodeSafetensors: ${what}. Received: ${describe(received)}`);
  };
  if (!isObject(tensors)) {
    return refuseTo('tensors must be an object of tensors by name', tensors);
  }
  for (const [name, tensor] of Object.entries(tensors)) {
    if (name === METADATA) refuseTo(`no tensor can have the name ${METADATA}`, name);
    if (!(tensor instanceof tf.Tensor) || tensor.isDisposed) {
      const received = tensor instanceof tf.Tensor ? 'a disposed one' : tensor;
      refuseTo(`tensors['${name}'] must be a tensor`, received);
    }
    if (!Object.hasOwn(writers, (tensor as tf.Tensor).dtype)) {
      refuseTo(
        `tensors['${name}'] must be of type float32, int32 or bool`,
        (tensor as tf.Tensor).dtype,
      );
    }
  }
}

function checkMetadata(metadata: unknown): void {
  if (!isMetadata(metadata)) {
    throw new ValueError(
      `encodeSafetensors: metadata must be an object of strings. ` +
        `Received: ${describe(metadata)}`,
    );
  }
}
