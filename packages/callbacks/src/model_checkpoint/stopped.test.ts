/** Trainings that are stopped in the middle of an epoch, by a user or by a step that failed. */
import {readdir} from 'node:fs/promises';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {nameOf, useFolder} from '../../test/checkpoint_folder';
import {batchOf, bitsOf, makeModel} from '../../test/checkpointed_training';
import {
  compile,
  denseModel,
  fillWeight,
  makeBatch,
  resBatchNorm,
} from '../../test/models';
import {EarlyStopping, remainingBatches, UpdateOpsCheck, UpdateOpsError} from '..';
import {ModelCheckpoint, resume} from '../node';
import type {BatchDataset} from '..';

const folder = useFolder();

const STEPS = 3;

/** As Ctrl-C in a program does. */
class StopAfter extends tfl.Callback {
  constructor(private stepsLeft: number) {
    super();
  }

  override async onBatchEnd(): Promise<void> {
    this.stepsLeft -= 1;
    if (this.stepsLeft === 0) this.model.stopTraining = true;
  }
}

type Data = BatchDataset<ReturnType<typeof batchOf>>;

/** Passes of an epoch each, or one pass over all epochs. */
function batchesFrom(epoch: number, size: number | null): Data {
  let next = epoch * STEPS;
  const iterator = async () => {
    let left = size === Infinity ? Infinity : STEPS;
    return {
      next: async () =>
        left-- > 0
          ? {value: batchOf(next++), done: false as const}
          : {value: null, done: true as const},
    };
  };
  return {size: size as number, iterator};
}

interface Start {
  epoch: number;
  stepInEpoch: number;
}

/** Trains to the end of the third epoch, of three steps each. */
async function train(
  model: tfl.LayersModel,
  size: number | null,
  callbacks: tfl.Callback[],
  {epoch, stepInEpoch}: Start = {epoch: 0, stepInEpoch: 0},
  isValidated = true,
): Promise<void> {
  const {xs, ys} = batchOf(100);
  const batchesPerEpoch = size === Infinity ? STEPS : undefined;
  const data = batchesFrom(epoch, size);
  await model.fitDataset(remainingBatches(data, {stepInEpoch, batchesPerEpoch}), {
    epochs: 3,
    initialEpoch: epoch,
    verbose: 0,
    callbacks,
    ...(isValidated && {validationData: [xs, ys]}),
  } as tfl.ModelFitDatasetArgs<tf.TensorContainer>);
  tf.dispose([xs, ys]);
}

function watched(): tfl.Callback[] {
  return [
    new EarlyStopping({patience: 9}),
    new ModelCheckpoint({path: folder(), monitor: 'val_loss'}),
  ];
}

describe.each<[string, number | null]>([
  ['passes of a known size', STEPS],
  ['passes of an unknown size', null],
  ['one pass over all epochs', Infinity],
])('stopped and resumed is the same as never stopped, with %s', (_name, size) => {
  test.each([
    [1, {epoch: 0, stepInEpoch: 1}],
    [5, {epoch: 1, stepInEpoch: 2}],
    // A pass is not known to be at its end before the next step: its validation is still to be done.
    [6, {epoch: 1, stepInEpoch: 3}],
  ])('after step %d', async (step, position) => {
    const whole = makeModel();
    await train(whole, size, []);

    await train(makeModel(), size, [...watched(), new StopAfter(step)]);
    const {model, ...resumed} = await resume(folder());
    expect(resumed).toMatchObject({step, ...position});
    await train(model, size, watched(), resumed);
    expect(await bitsOf(model)).toBe(await bitsOf(whole));
    expect(await resume(folder())).toMatchObject({epoch: 3, stepInEpoch: 0, step: 9});
  });
});

test('once more in the epoch that was resumed', async () => {
  const whole = makeModel();
  await train(whole, STEPS, []);
  await train(makeModel(), STEPS, [...watched(), new StopAfter(1)]);
  const first = await resume(folder());
  await train(first.model, STEPS, [...watched(), new StopAfter(1)], first);
  const second = await resume(folder());
  expect(second).toMatchObject({epoch: 0, stepInEpoch: 2, step: 2});
  await train(second.model, STEPS, watched(), second);
  expect(await bitsOf(second.model)).toBe(await bitsOf(whole));
});

test('the last step of an epoch ends it, where no validation follows', async () => {
  const callbacks = [new ModelCheckpoint({path: folder()}), new StopAfter(6)];
  await train(makeModel(), STEPS, callbacks, undefined, false);
  expect(await resume(folder())).toMatchObject({epoch: 2, stepInEpoch: 0, step: 6});
});

test('an epoch that is stopped at its end is whole, even if its size is unknown', async () => {
  const callbacks = [
    new EarlyStopping({monitor: 'loss', minDelta: 1e9}),
    new ModelCheckpoint({path: folder(), monitor: 'loss'}),
  ];
  await train(makeModel(), null, callbacks, undefined, false);
  expect(await resume(folder())).toMatchObject({epoch: 2, stepInEpoch: 0, step: 6});
});

test('a part of an epoch is never the best', async () => {
  const path = folder();
  const checkpoint = new ModelCheckpoint({path, monitor: 'loss', saveBestOnly: true});
  await train(makeModel(), STEPS, [checkpoint, new StopAfter(4)]);
  expect(await readdir(path)).toEqual([nameOf(1)]);
});

test('what was saved as a step is not saved twice', async () => {
  const checkpoint = new ModelCheckpoint({path: folder(), everySteps: 2});
  await train(makeModel(), STEPS, [checkpoint, new StopAfter(2)]);
  expect(await readdir(folder())).toEqual([nameOf(1)]);
});

test('the best weights are restored after a regular stop in an epoch', async () => {
  const model = makeModel();
  const bits: string[] = [];
  class Epochs extends tfl.Callback {
    override async onEpochEnd(): Promise<void> {
      bits.push(await bitsOf(model));
    }
  }
  const stopping = new EarlyStopping({patience: 9, restoreBestWeights: true});
  await train(model, STEPS, [new Epochs(), stopping, new StopAfter(4)]);
  expect(stopping).toMatchObject({bestEpoch: 0, stoppedEpoch: null});
  expect(bits).toHaveLength(2);
  expect(await bitsOf(model)).toBe(bits[0]);
});

test('fit begins the epoch anew', async () => {
  const {xs, ys} = makeBatch(24);
  const args = {epochs: 2, batchSize: 8, verbose: 0 as const};
  const callbacks = [new ModelCheckpoint({path: folder()}), new StopAfter(5)];
  await makeModel().fit(xs, ys, {...args, callbacks});
  const {model, epoch, ...resumed} = await resume(folder());
  expect({epoch, ...resumed}).toMatchObject({epoch: 1, stepInEpoch: 2, step: 5});
  const rest = [new ModelCheckpoint({path: folder()})];
  await model.fit(xs, ys, {...args, initialEpoch: epoch, callbacks: rest});
  expect(await resume(folder())).toMatchObject({epoch: 2, stepInEpoch: 0, step: 8});
});

describe('a step that a check finds fault with', () => {
  /** In the second step, the statistics of a frozen layer are written. */
  const sick = () => {
    const norm = resBatchNorm({name: 'bn', trainable: false});
    class Write extends tfl.Callback {
      override async onBatchEnd(batch: number): Promise<void> {
        if (batch === 1) fillWeight(norm, 'moving_mean', 1);
      }
    }
    return {model: compile(denseModel(norm)), fault: new Write()};
  };

  test('is not saved', async () => {
    const {model, fault} = sick();
    const checkpoint = new ModelCheckpoint({path: folder(), everySteps: 1});
    const training = train(model, STEPS, [fault, new UpdateOpsCheck(), checkpoint]);
    await expect(training).rejects.toThrow(UpdateOpsError);
    expect(await readdir(folder())).toEqual([nameOf(1)]);
    expect((await resume(folder())).step).toBe(1);
  });

  test('is the error of the training, whatever is in front', async () => {
    const {model, fault} = sick();
    const training = train(model, STEPS, [fault, ...watched(), new UpdateOpsCheck()]);
    await expect(training).rejects.toThrow(UpdateOpsError);
    expect(await readdir(folder())).toEqual([]);
  });

  test('is forgotten in the next training', async () => {
    const {model, fault} = sick();
    const callbacks = [new UpdateOpsCheck(), new ModelCheckpoint({path: folder()})];
    const failing = train(model, STEPS, [fault, ...callbacks]);
    await expect(failing).rejects.toThrow(UpdateOpsError);
    await train(model, STEPS, callbacks);
    expect(await resume(folder())).toMatchObject({epoch: 3});
  });
});
