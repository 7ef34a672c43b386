/**
 * What engine_program.ts prints for `gives values` on each replica, in the order of their ranks.
 *
 * @param name The engine's.
 */
export function expectedValues(size: number, name: RegExp): object[] {
  const ranks = Array.from({length: size}, (_, rank) => rank);
  // The last one's weight is 0, but if it is the only one.
  const weights = ranks.map(rank => (size > 1 && rank === size - 1 ? 0 : 2 ** -rank));
  const sum = (values: number[]) =>
    values.reduce((total, value, rank) => total + value * weights[rank], 0);
  const few = ranks.map(rank => {
    const values = Buffer.from(Float64Array.of(rank, -0, 1e300, Infinity).buffer);
    return `${values.toString('hex')}0${rank}0102030405f47f`;
  });
  return ranks.map(rank => ({
    rank,
    size,
    name: expect.stringMatching(name),
    few,
    manyAreRight: ranks.map(() => true),
    none: ranks.map(() => 0),
    sums: [
      {
        shape: [1, 3],
        values: [sum(ranks.map(() => 1)), sum(ranks.map(() => 2)), sum(ranks)],
      },
      {shape: [], values: [sum(ranks.map(() => 4))]},
    ],
    noSums: 0,
    broadcastIsRight: true,
    leakedTensors: 0,
  }));
}
