import type {ImageDataset} from '@resbatchnorm/resnet';
import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {samplesOf, sumOf, timeHooks, watchTraining} from './callback_times.js';
import type {Network} from './cases.js';

describe('samplesOf', () => {
  // The first step is left out, as is the last.
  const idle = {
    stepStarts: [0, 50, 150, 250, 260],
    hooks: {
      UpdateOpsCheck: {steps: [9, 1, 1, 1, 8], epochEnds: [7]},
      ProgressBar: {steps: [9, 2, 4, 3, 8], epochEnds: [7]},
    },
    eventLoop: {steps: [9, 5, 7, 6, 8], epochEnds: [0]},
  };
  // One epoch of two steps is left out.
  const due = {
    hooks: {
      UpdateOpsCheck: {steps: [99, 99, 1, 1, 1, 1], epochEnds: [99, 20, 40]},
      ProgressBar: {steps: [99, 99, 10, 20, 20, 30], epochEnds: [99, 1, 1]},
    },
  };

  const medians = (samples: object) =>
    JSON.parse(JSON.stringify(samples), (_, value) => value?.median ?? value);

  it('takes the medians of what is due, what is not, and of the steps less the hooks', () => {
    const samples = samplesOf(idle, due, {
      firstIdleStep: 1,
      firstDueStep: 2,
      firstEpoch: 1,
    });
    expect(medians(samples)).toEqual({
      // Of 100 - 3, 100 - 5 and 10 - 4.
      step: 95,
      hooks: {
        UpdateOpsCheck: {idleStep: 1, epochEnd: 30},
        ProgressBar: {idleStep: 3, dueStep: 20, epochEnd: 1},
        all: {idleStep: 4, dueStep: 21, epochEnd: 31},
      },
      eventLoop: 6,
    });
    expect(samples.step.repetitions).toBe(3);
    expect(samples.hooks.all.dueStep!.repetitions).toBe(4);
  });
});

describe('the times of hooks', () => {
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
});

describe('watchTraining', () => {
  const network: Network = {name: 'ResNet-8', imageShape: [4, 4, 1], batchSize: 2};

  const images = (count: number) => ({
    pixels: Uint8Array.from({length: count * 16}, (_, i) => (i * 37) % 256),
    labels: Uint8Array.from({length: count}, (_, i) => i % 10),
  });

  const dataset: ImageDataset = {
    title: 'made up',
    imageShape: [4, 4, 1],
    numClasses: 10,
    train: images(20),
    test: images(1),
  };

  beforeAll(() => useBackend('cpu'));

  it.each([true, false])(
    'times each callback, due %s, and leaves no tensor',
    async isAllDue => {
      const {numTensors} = tf.memory();
      const size = {epochs: 2, stepsPerEpoch: 3, isAllDue};
      const {hooks, stepStarts, eventLoop} = await watchTraining(network, dataset, size);
      // The optimizer of tfjs keeps its learning rate, a scalar, when it is disposed of.
      expect(tf.memory().numTensors).toBe(numTensors + 1);
      expect(stepStarts).toHaveLength(6);
      for (const times of [eventLoop, ...Object.values(hooks)]) {
        expect(times.steps).toHaveLength(6);
        expect(times.epochEnds).toHaveLength(2);
      }
      expect(Object.keys(hooks)).toEqual([
        'UpdateOpsCheck',
        'PhaseGapCheck',
        'MovingStatisticsSummary',
        'ModelCheckpoint',
        'EarlyStopping',
        'ProgressBar',
      ]);
    },
  );
});
