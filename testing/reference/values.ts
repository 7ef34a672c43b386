/** Values to compute with, and how values are compared. */
type Numbers = ArrayLike<number>;

/** Numbers that look random and are the same in every run. */
export function seededRandom(seed: number): () => number {
  // mulberry32, by Tommy Ettinger (public domain).
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Float32 values of about the normal distribution. */
export function normalValues(
  size: number,
  {seed = 1, mean = 0, standardDeviation = 1} = {},
): Float32Array {
  const random = seededRandom(seed);
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Float32Array.from({length: size}, () => mean + standardDeviation * normal());
}

/** The largest |actual − expected|, relative to the largest |expected|. NaN if a value is NaN. */
export function largestError(actual: Numbers, expected: Numbers): number {
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

/** The derivative of `f` at `values` by central differences, one value at a time. */
export function finiteDifferences(
  f: (values: number[]) => number,
  values: Numbers,
  step = 1e-4,
): number[] {
  return Array.from(values, (value, i) => {
    const shifted = (by: number) =>
      Array.from(values, (v, j) => (j === i ? value + by : v));
    return (f(shifted(step)) - f(shifted(-step))) / (2 * step);
  });
}

/** Σ weights·values: turns a tensor into the scalar that gradients are taken of. */
export function dot(values: Numbers, weights: Numbers): number {
  return Array.from(values, (value, i) => value * weights[i]).reduce((a, b) => a + b, 0);
}
