/**
 * The .safetensors format: a header's length (8 bytes), the header (JSON) and the numbers,
 * little-endian.
 *
 *     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}
 *
 * Source: the format's description in github.com/huggingface/safetensors. The one package for
 * JavaScript on npm is a first version that nobody has kept; hence this.
 */

/** How many bytes say how long the header is. */
export const LENGTH_BYTES = 8;
/** The key in the header of what is about no tensor: an object of strings. */
export const METADATA = '__metadata__';

/** A tensor's type here. */
export type DType = 'float32' | 'int32' | 'bool';

export interface FileDType {
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

export const fileDTypes: Record<string, FileDType> = {
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
export const writers = {
  float32: {name: 'F32', write: (view, at, value) => view.setFloat32(at, value, true)},
  int32: {name: 'I32', write: (view, at, value) => view.setInt32(at, value, true)},
  bool: {name: 'BOOL', write: (view, at, value) => view.setUint8(at, value)},
} satisfies Record<
  DType,
  {name: string; write(view: DataView, at: number, value: number): void}
>;

/** Why a value of a file can't be kept here as it is, or null. */
export function whyNotKept(value: number, dtype: DType): string | null {
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

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isMetadata = (value: unknown): value is Record<string, string> =>
  isObject(value) && Object.values(value).every(text => typeof text === 'string');

export const sizeOfShape = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
