import * as tf from '@tensorflow/tfjs-core';

import {describe, ValueError} from '../errors.js';
import {
  fileDTypes,
  isMetadata,
  isObject,
  LENGTH_BYTES,
  METADATA,
  sizeOfShape,
  whyNotKept,
  type FileDType,
} from './safetensors_format.js';

// There in every runtime, and in neither of the type libraries that they share.
declare class TextDecoder {
  constructor(label: string, options: {fatal: boolean});
  decode(bytes: Uint8Array): string;
}

/** What the reference implementation allows. */
const LARGEST_HEADER = 100_000_000;

interface Entry {
  name: string;
  dtype: FileDType;
  shape: number[];
  begin: number;
  end: number;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Reads the tensors of a .safetensors file. F64, F16 and BF16 become float32; I64, I16, I8 and
 * U8 become int32. The tensors are the caller's to dispose.
 *
 * @param bytes All of the file.
 * @returns The tensors by name.
 * @throws ValueError if the header is too long, is no JSON or is not of the right form; if a
 *     type is not one of the above, or a value does not fit the type it becomes; or if the
 *     offsets do not fit the shape, overlap, leave bytes out or leave the file. No tensor has
 *     been made then.
 */
export function decodeSafetensors(bytes: Uint8Array | ArrayBuffer): tf.NamedTensorMap {
  const file = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  if (!(file instanceof Uint8Array)) {
    throw new ValueError(
      `decodeSafetensors: bytes must be a Uint8Array or an ArrayBuffer. ` +
        `Received: ${describe(bytes)}`,
    );
  }
  const {header, data} = split(file);
  const entries = entriesOf(header, data.byteLength);
  const values = entries.map(entry => valuesOf(entry, data));
  return Object.fromEntries(
    entries.map(({name, shape, dtype}, i) => [
      name,
      tf.tensor(values[i], shape, dtype.dtype),
    ]),
  );
}

function refuse(what: string): never {
  throw new ValueError(`decodeSafetensors: this is no good .safetensors file: ${what}`);
}

function split(file: Uint8Array): {header: Record<string, unknown>; data: DataView} {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < LENGTH_BYTES) {
    refuse(`it has ${file.length} bytes, and ${LENGTH_BYTES} say how long the header is`);
  }
  const length = view.getBigUint64(0, true);
  const largest = Math.min(file.length - LENGTH_BYTES, LARGEST_HEADER);
  if (length > largest) {
    refuse(`its header is to have ${length} bytes, of which at most ${largest} can be`);
  }
  const start = LENGTH_BYTES + Number(length);
  const header = parse(file.subarray(LENGTH_BYTES, start));
  const data = new DataView(file.buffer, file.byteOffset + start, file.length - start);
  return {header, data};
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', {fatal: true}).decode(bytes));
  } catch (error) {
    refuse(`its header is no JSON: ${(error as Error).message}`);
  }
  if (!isObject(header)) return refuse('its header is no object');
  if (!isMetadata(header[METADATA] ?? {})) {
    refuse(`its ${METADATA} must be an object of strings`);
  }
  return header;
}

/** The entries, in the order of their numbers, which fill the data without a gap. */
function entriesOf(header: Record<string, unknown>, length: number): Entry[] {
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => entryOf(name, value));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const {name, begin, end} of entries) {
    if (begin < at) refuse(`'${name}' overlaps the tensor before it, at byte ${begin}`);
    if (begin > at)
      refuse(`the bytes ${at} to ${begin}, before '${name}', are of no tensor`);
    at = end;
  }
  if (at > length) {
    refuse(`the tensors end at byte ${at}, and the file has ${length} after its header`);
  }
  if (at < length) refuse(`its last ${length - at} bytes are of no tensor`);
  return entries;
}

function entryOf(name: string, value: unknown): Entry {
  if (!isObject(value)) return refuse(`'${name}' is no object`);
  const {dtype, shape, data_offsets: offsets} = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(fileDTypes, dtype)) {
    return refuse(
      `the dtype of '${name}' is ${describe(dtype)}; known are ` +
        Object.keys(fileDTypes).join(', '),
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    return refuse(
      `the shape of '${name}' must be an array of integers, none of them negative, but is ` +
        describe(shape),
    );
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return refuse(
      `the data_offsets of '${name}' must be two integers, none of them negative, but are ` +
        describe(offsets),
    );
  }
  const [begin, end] = offsets as number[];
  const size = sizeOfShape(shape) * fileDTypes[dtype].size;
  if (end - begin !== size) {
    refuse(
      `'${name}' is of ${end - begin} bytes, and ${dtype} of shape ${describe(shape)} takes ` +
        String(size),
    );
  }
  return {name, dtype: fileDTypes[dtype], shape, begin, end};
}

function valuesOf(
  {name, dtype, shape, begin}: Entry,
  data: DataView,
): Float32Array | Int32Array {
  const size = sizeOfShape(shape);
  const values =
    dtype.dtype === 'float32' ? new Float32Array(size) : new Int32Array(size);
  for (let i = 0; i < size; ++i) {
    const value = dtype.read(data, begin + i * dtype.size);
    const why = whyNotKept(value, dtype.dtype);
    if (why !== null) refuse(`'${name}' holds ${value}, at index ${i}, ${why}`);
    values[i] = value;
  }
  return values;
}
