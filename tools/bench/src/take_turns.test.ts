import {type Pace, takeTurns} from './take_turns.js';

const pace: Pace = {rounds: 6, fewestRounds: 2, budgetMs: 1e9, repetitionMs: 30};

/** Contenders that take so long, on a clock of their own. */
function simulate(durations: Record<string, number>) {
  let clock = 0;
  const calls: {name: string; count: number}[] = [];
  const contenders = Object.entries(durations).map(([name, ms]) => ({
    name,
    async time(count: number) {
      calls.push({name, count});
      clock += ms * count;
      return ms;
    },
  }));
  return {contenders, calls, now: () => clock};
}

it('calls short ones as often as a repetition needs, and long ones once', async () => {
  const {contenders, calls, now} = simulate({short: 4, long: 1000});
  const samples = await takeTurns(contenders, pace, now);
  const rounds = calls.slice(-2 * pace.rounds);
  expect(rounds.filter(({name}) => name === 'short').map(({count}) => count)).toEqual(
    Array(pace.rounds).fill(8),
  );
  expect(rounds.filter(({name}) => name === 'long').map(({count}) => count)).toEqual(
    Array(pace.rounds).fill(1),
  );
  expect(samples.short).toMatchObject({median: 4, repetitions: pace.rounds});
  expect(samples.long).toMatchObject({median: 1000, repetitions: pace.rounds});
});

it('lets each have its turn in every round, in orders that change', async () => {
  const {contenders, calls, now} = simulate({a: 500, b: 500, c: 500});
  await takeTurns(contenders, {...pace, rounds: 20}, now);
  const names = calls.slice(-60).map(({name}) => name);
  const rounds = Array.from({length: 20}, (_, i) =>
    names.slice(3 * i, 3 * i + 3).join(''),
  );
  for (const round of rounds) expect([...round].sort()).toEqual(['a', 'b', 'c']);
  expect(new Set(rounds).size).toBeGreaterThan(3);
});

it('ends when the budget is spent, but not before the fewest rounds', async () => {
  const repetitionsWith = async (budgetMs: number) => {
    const {contenders, now} = simulate({slow: 1000});
    return (await takeTurns(contenders, {...pace, budgetMs}, now)).slow.repetitions;
  };
  expect(await repetitionsWith(0)).toBe(2);
  expect(await repetitionsWith(3500)).toBe(4);
  expect(await repetitionsWith(1e6)).toBe(6);
});
