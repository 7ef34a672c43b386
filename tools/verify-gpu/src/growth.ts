/**
 * How much a quantity grew over a run: its peak in the second half over its peak in the
 * first. What is allocated once, at the start, is no growth.
 */
export function growth(samples: readonly number[]): number {
  const middle = samples.length >> 1;
  return Math.max(...samples.slice(middle)) - Math.max(...samples.slice(0, middle));
}
