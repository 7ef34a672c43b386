/** How far values are from what they should be. NaN if any value is NaN. */

/** The largest |actual − expected|, relative to the largest |expected|. */
export function largestError(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  if (actual.length !== expected.length) return NaN;
  let error = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    // Math.max of NaN is NaN.
    error = Math.max(error, Math.abs(actual[i] - expected[i]));
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return error / scale;
}

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
