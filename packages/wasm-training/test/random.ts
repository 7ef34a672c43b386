/** Random test cases that are the same in every run. */

/** Integers and choices drawn from a seed (the generator is mulberry32). */
export class Random {
  constructor(private state: number) {}

  /** A number in [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer, `low` and `high` included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  choice<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)];
  }

  /** Values in [-1, 1), as float32 has them. */
  values(count: number): Float32Array {
    return Float32Array.from({length: count}, () => 2 * this.next() - 1);
  }

  /** Values in [-1, 1), no two of which are equal, in a random order. */
  distinctValues(count: number): Float32Array {
    const values = Float32Array.from({length: count}, (_, i) => (2 * i) / count - 1);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(0, i);
      [values[i], values[j]] = [values[j], values[i]];
    }
    return values;
  }
}
