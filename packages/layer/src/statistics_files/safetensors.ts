/**
 * The .safetensors format: a header's length (8 bytes), the header (JSON) and the numbers,
 * little-endian.
 *
 *     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
 *
 * Source: the format's description in github.com/huggingface/safetensors. The one package for
 * JavaScript on npm is a first version that nobody has kept; hence this.
 */
import * as tf from '@tensorflow/tfjs-core';

import {describe, ValueError} from '../errors.js';

// There in every runtime, and in neither of the type libraries that they share.
declare class TextDecoder {
  constructor(label: string, options: {fatal: boolean});
  decode(bytes: Uint8Array): string;
}
declare class TextEncoder {
  encode(text: string): Uint8Array;
}

/** How many bytes say how long the header is. */
const LENGTH_BYTES = 8;
/** The key in the header of what is about no tensor: an object of strings. */
const METADATA = '__metadata__';

/** A tensor's type here. */
type DType = 'float32' | 'int32' | 'bool';

interface FileDType {
  /** In bytes. */
  size: number;
  dtype: DType;
  read(view: DataView, at: number): number;
}

const floats = (size: number, read: FileDType['read']): FileDType => ({
  size,
  dtype: 'float32',
  read,
});

const integers = (size: number, read: FileDType['read']): FileDType => ({
  size,
  dtype: 'int32',
  read,
});

const fileDTypes: Record<string, FileDType> = {
  F64: floats(8, (view, at) => view.getFloat64(at, true)),
  F32: floats(4, (view, at) => view.getFloat32(at, true)),
  F16: floats(2, (view, at) => float16(view.getUint16(at, true))),
  BF16: floats(2, (view, at) => bfloat16(view.getUint16(at, true))),
  I64: integers(8, (view, at) => Number(view.getBigInt64(at, true))),
  I32: integers(4, (view, at) => view.getInt32(at, true)),
  I16: integers(2, (view, at) => view.getInt16(at, true)),
  I8: integers(1, (view, at) => view.getInt8(at)),
  U8: integers(1, (view, at) => view.getUint8(at)),
  BOOL: {size: 1, dtype: 'bool', read: (view, at) => view.getUint8(at)},
};

/** The type in a file of each type here, with how it is written. */
const writers = {
  float32: {name: 'F32', write: (view, at, value) => view.setFloat32(at, value, true)},
  int32: {name: 'I32', write: (view, at, value) => view.setInt32(at, value, true)},
  bool: {name: 'BOOL', write: (view, at, value) => view.setUint8(at, value)},
} satisfies Record<
  DType,
  {name: string; write(view: DataView, at: number, value: number): void}
>;

/** Why a value of a file can't be kept here as it is, or null. */
function whyNotKept(value: number, dtype: DType): string | null {
  if (dtype === 'int32' && value !== (value | 0)) return 'which int32 can not hold';
  if (dtype === 'bool' && value !== 0 && value !== 1) return 'which is no bool';
  const isTooLarge = Number.isFinite(value) && !Number.isFinite(Math.fround(value));
  return dtype === 'float32' && isTooLarge ? 'which float32 can not hold' : null;
}

/** IEEE 754 binary16: 1 bit for the sign, 5 for the exponent, 10 for the fraction. */
function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * 2 ** -14 * fraction;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction);
}

/** The upper half of a float32. */
function bfloat16(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint16(0, bits);
  return view.getFloat32(0);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isMetadata = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every(text => typeof text === 'string');

const sizeOfShape = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

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
