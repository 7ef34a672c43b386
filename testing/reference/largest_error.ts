/** The largest |actual − expected|, relative to the largest |expected|. NaN if a value is NaN. */
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
