import {Random} from './random.js';

const draw = (random: Random, n: number) => Array.from({length: n}, () => random.next());

describe('Random', () => {
  it('repeats itself for the same seed and stream', () => {
    expect(draw(new Random(7, 2), 50)).toEqual(draw(new Random(7, 2), 50));
  });

  it('differs between neighbouring seeds and streams, also when shifted', () => {
    const sequences = [new Random(0), new Random(1), new Random(0, 1)].map(random =>
      draw(random, 50),
    );
    expect(new Set(sequences.flat()).size).toBe(150);
  });

  it('is uniform in [0, 1)', () => {
    const values = draw(new Random(3), 20_000);
    const counts = new Array(10).fill(0);
    for (const value of values) counts[Math.floor(value * 10)]++;
    // Seven standard deviations of a count of 2,000.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(300);
  });

  it('shuffles: every index once, in another order for another seed', () => {
    const order = new Random(1).permutation(100);
    expect([...order].sort((a, b) => a - b)).toEqual(
      Array.from({length: 100}, (_, i) => i),
    );
    expect(order).toEqual(new Random(1).permutation(100));
    expect(order).not.toEqual(new Random(2).permutation(100));
  });
});
