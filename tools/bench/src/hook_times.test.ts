import * as tfl from '@tensorflow/tfjs-layers';

import {sumOf, timeHooks} from './hook_times.js';

/** Takes 1 ms for a step's beginning, 10 for its end, 100 for an epoch's end. */
class Slow extends tfl.Callback {
  readonly calls: unknown[] = [];

  constructor(private readonly clock: {ms: number}) {
    super();
  }

  override async onBatchBegin(batch: number): Promise<void> {
    await this.take(1, batch);
  }

  override async onBatchEnd(batch: number): Promise<void> {
    await this.take(10, batch);
  }

  override async onEpochEnd(epoch: number): Promise<void> {
    await this.take(100, epoch);
  }

  private async take(ms: number, which: number): Promise<void> {
    // What comes after an await is waited for, too.
    await Promise.resolve();
    this.clock.ms += ms;
    this.calls.push([ms, which]);
  }
}

it('times the hooks of steps and epochs, and passes on what they are called with', async () => {
  const clock = {ms: 0};
  const callback = new Slow(clock);
  const times = timeHooks(callback, () => clock.ms);
  await callback.onBatchBegin(0);
  clock.ms += 1000; // The step itself.
  await callback.onBatchEnd(0);
  await callback.onBatchBegin(1);
  await callback.onBatchEnd(1);
  await callback.onEpochEnd(7);
  expect(times).toEqual({steps: [11, 11], epochEnds: [100]});
  expect(callback.calls).toEqual([
    [1, 0],
    [10, 0],
    [1, 1],
    [10, 1],
    [100, 7],
  ]);
});

it('passes on what a hook throws', async () => {
  class Failing extends tfl.Callback {
    override async onEpochEnd(): Promise<void> {
      throw new Error('no more');
    }
  }
  const callback: tfl.Callback = new Failing();
  const times = timeHooks(callback);
  await expect(callback.onEpochEnd(0)).rejects.toThrow('no more');
  expect(times).toEqual({steps: [], epochEnds: []});
});

it('adds up step by step', () => {
  const several = [
    {steps: [1, 2], epochEnds: [3]},
    {steps: [10, 20], epochEnds: [30]},
    {steps: [100, 200], epochEnds: [300]},
  ];
  expect(sumOf(several)).toEqual({steps: [111, 222], epochEnds: [333]});
});
