/** Times several contenders in turns, so that a slow spell of the machine hits them all. */
import {seededRandom} from '@resbatchnorm/testing/reference';
import {type Sample, sampleOf} from '@resbatchnorm/tools-common/report';

export interface TimedContender {
  name: string;
  /** Makes `count` calls; the milliseconds that one takes. */
  time(count: number): Promise<number>;
}

export interface Pace {
  /** In each, every contender is timed once. */
  rounds: number;
  /** Once these are done, it ends when the budget is spent. */
  fewestRounds: number;
  budgetMs: number;
  /** What a repetition takes at least, in as many calls as that needs. */
  repetitionMs: number;
}

// Until code is compiled and memory is allocated. A training takes thousands of steps.
const warmUpMs = 300;
const mostWarmUpCalls = 40;
const mostCalls = 200;

export async function takeTurns(
  contenders: readonly TimedContender[],
  {rounds, fewestRounds, budgetMs, repetitionMs}: Pace,
  now = () => performance.now(),
): Promise<Record<string, Sample>> {
  const counts = new Map<TimedContender, number>();
  for (const contender of contenders) {
    const ms = await warmUp(contender, now);
    counts.set(contender, callsFor(ms, repetitionMs));
  }
  const times = new Map(contenders.map(contender => [contender, [] as number[]]));
  const random = seededRandom(1);
  const start = now();
  for (let round = 0; round < rounds; round++) {
    if (round >= fewestRounds && now() - start > budgetMs) break;
    // In an order of its own: what one leaves behind slows the next.
    for (const contender of shuffled(contenders, random)) {
      times.get(contender)!.push(await contender.time(counts.get(contender)!));
    }
  }
  return Object.fromEntries([...times].map(([{name}, ms]) => [name, sampleOf(ms)]));
}

/** The milliseconds of the fastest call. */
async function warmUp({time}: TimedContender, now: () => number): Promise<number> {
  const start = now();
  // The first call makes what all of them use.
  await time(1);
  let fastest = await time(1);
  for (let call = 2; call < mostWarmUpCalls && now() - start < warmUpMs; call++) {
    fastest = Math.min(fastest, await time(1));
  }
  return fastest;
}

function callsFor(ms: number, repetitionMs: number): number {
  return Math.max(1, Math.min(mostCalls, Math.ceil(repetitionMs / ms)));
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map(item => ({item, key: random()}))
    .sort((a, b) => a.key - b.key)
    .map(({item}) => item);
}
