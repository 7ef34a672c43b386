/** A training with all the callbacks, and how long it was in the hooks of each. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {
  EarlyStopping,
  ModelCheckpoint,
  MovingStatisticsSummary,
  PhaseGapCheck,
  ProgressBar,
  UpdateOpsCheck,
} from '@resbatchnorm/callbacks';
import {
  firstImages,
  type ImageDataset,
  normalizationOf,
  train,
  trainingBatches,
} from '@resbatchnorm/resnet';
import * as tfl from '@tensorflow/tfjs-layers';

import {type HookTimes, timeHooks} from './hook_times.js';
import {makeModel} from './networks.js';
import type {Network} from './requests.js';

export interface TrainingSize {
  epochs: number;
  stepsPerEpoch: number;
  /** Whether something is due on each step: read back, written, drawn. Else on none. */
  isAllDue: boolean;
}

export interface WatchedTraining {
  /** When each step began, in milliseconds. */
  stepStarts: number[];
  /** By callback. */
  hooks: Record<string, HookTimes>;
  /** Letting the event loop run. */
  eventLoop: HookTimes;
}

/** Trains as the trainer does. */
export async function watchTraining(
  network: Network,
  digits: ImageDataset,
  {epochs, stepsPerEpoch, isAllDue}: TrainingSize,
): Promise<WatchedTraining> {
  const {batchSize} = network;
  const images = firstImages(digits.train, stepsPerEpoch * batchSize);
  const dataset = {...digits, train: images};
  const normalization = normalizationOf(dataset);
  const model = makeModel(network, 'res');
  const folder = await mkdtemp(join(tmpdir(), 'bench-callbacks-'));
  try {
    const data = trainingBatches(dataset, normalization, {batchSize, seed: 2});
    const callbacks = makeCallbacks(folder, data, isAllDue);
    const clock = new StepClock();
    // The first one in the list lets the event loop run in the place of fit and of those behind
    // it. This one does nothing else in a step.
    const yielding = new EarlyStopping({monitor: 'loss', patience: forever});
    const eventLoop = timeHooks(yielding);
    const hooks = Object.fromEntries(
      Object.entries(callbacks).map(([name, callback]) => [name, timeHooks(callback)]),
    );
    await train(
      model,
      dataset,
      normalization,
      {epochs, batchSize, learningRate: 0.1, seed: 1},
      [clock, yielding, ...Object.values(callbacks)],
    );
    return {stepStarts: clock.starts, hooks, eventLoop};
  } finally {
    await rm(folder, {recursive: true});
    model.optimizer?.dispose();
    model.dispose();
  }
}

const forever = 1e9;

type Batches = ReturnType<typeof trainingBatches>;

/** In the trainer's order. */
function makeCallbacks(
  folder: string,
  data: Batches,
  isAllDue: boolean,
): Record<string, tfl.Callback> {
  const everySteps = isAllDue ? 1 : forever;
  return {
    UpdateOpsCheck: new UpdateOpsCheck(),
    PhaseGapCheck: new PhaseGapCheck({data, onGap: () => {}}),
    MovingStatisticsSummary: new MovingStatisticsSummary(join(folder, 'logs'), {
      everySteps,
    }),
    ModelCheckpoint: new ModelCheckpoint({
      path: join(folder, 'checkpoints'),
      monitor: 'loss',
      everySteps,
    }),
    EarlyStopping: new EarlyStopping({
      monitor: 'loss',
      patience: forever,
      restoreBestWeights: true,
    }),
    ProgressBar: new ProgressBar({
      stream: {write: () => {}},
      lineEverySeconds: isAllDue ? Number.MIN_VALUE : forever,
    }),
  };
}

class StepClock extends tfl.Callback {
  readonly starts: number[] = [];

  override async onBatchBegin(): Promise<void> {
    this.starts.push(performance.now());
  }
}
