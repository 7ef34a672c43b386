/**
 * What every replica sends first in a call: which call it is, and the values that fit beside that.
 * Blocks are of one size whatever the call, so that replicas which make different calls find out
 * instead of taking each other's bytes for their own.
 */
import {createHash} from 'node:crypto';

const HEADER_BYTES = 256;
// A gather of up to 4 kB takes as long as one of a few bytes, of 8 kB half as long again or more.
export const BLOCK_BYTES = 4096;

export const VALUES_IN_BLOCK = (BLOCK_BYTES - HEADER_BYTES) / 8;

/** @param values VALUES_IN_BLOCK at most. */
export function packBlock(header: string, values: Float64Array): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(fitted(header));
  block.set(bytesOf(values), HEADER_BYTES);
  return block;
}

/** The header may be cut off, but differs where the whole one does. */
export function headerOf(block: Uint8Array): string {
  return Buffer.from(block.subarray(0, HEADER_BYTES)).toString().replace(/\0+$/, '');
}

export function valuesOf(block: Uint8Array, count: number): Float64Array {
  const values = new Float64Array(count);
  const bytes = bytesOf(values);
  bytes.set(block.subarray(HEADER_BYTES, HEADER_BYTES + bytes.length));
  return values;
}

export function bytesOf({buffer, byteOffset, byteLength}: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function fitted(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  if (bytes.length <= HEADER_BYTES) return bytes;
  const hash = Buffer.from(` … ${createHash('sha1').update(text).digest('hex')}`);
  return Buffer.concat([bytes.subarray(0, HEADER_BYTES - hash.length), hash]);
}
