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
