/** How far values are from what they should be. NaN if any value is NaN. */

/** The largest |a − b|. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  return Array.from(a, (value, i) => Math.abs(value - b[i])).reduce(
    (largest, difference) => Math.max(largest, difference),
    0,
  );
}

/** Also tells 0 from −0 and one NaN from another. */
export function isBitExact(a: Float32Array, b: Float32Array | undefined): boolean {
  if (!b || a.length !== b.length) return false;
  const bytes = (values: Float32Array) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return bytes(a).equals(bytes(b));
}
