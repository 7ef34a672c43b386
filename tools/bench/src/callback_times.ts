/**
 * What the callbacks take in a training. The difference of a training with and one without
 * callbacks is lost in the noise of either, so the time in their hooks is measured, in the same
 * training as that of the steps.
 */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {
  EarlyStopping,
  MovingStatisticsSummary,
  PhaseGapCheck,
  ProgressBar,
  UpdateOpsCheck,
} from '@resbatchnorm/callbacks';
import {eventFiles, ModelCheckpoint} from '@resbatchnorm/callbacks/node';
import {
  firstImages,
  type ImageDataset,
  loadDigits,
  normalizationOf,
  train,
  trainingBatches,
} from '@resbatchnorm/resnet';
import {sampleOf} from '@resbatchnorm/tools-common/report';
import * as tfl from '@tensorflow/tfjs-layers';

import type {Network} from './cases.js';
import {makeModel} from './networks.js';
import type {CallbackSamples, HookSamples} from './requests.js';

/** Steps, and epochs, that are left out: code is compiled and memory allocated in them. */
const warmUpSteps = 20;
const warmUpEpochs = 1;

/** Those that are due on some steps; the others do the same on each. */
const dueOnSteps = ['MovingStatisticsSummary', 'ModelCheckpoint', 'ProgressBar'];

export async function timeCallbacks(network: Network): Promise<CallbackSamples> {
  const digits = await loadDigits();
  const size = {epochs: 1, stepsPerEpoch: 150, isAllDue: false};
  const idle = await watchTraining(network, digits, size);
  const dueSize = {epochs: 6, stepsPerEpoch: 6, isAllDue: true};
  const due = await watchTraining(network, digits, dueSize);
  return samplesOf(idle, due, {
    firstIdleStep: warmUpSteps,
    firstDueStep: warmUpEpochs * dueSize.stepsPerEpoch,
    firstEpoch: warmUpEpochs,
  });
}

interface Firsts {
  firstIdleStep: number;
  firstDueStep: number;
  firstEpoch: number;
}

/** @param idle One epoch. Its last step is left out: at the end of an epoch something is due. */
export function samplesOf(
  idle: Pick<WatchedTraining, 'stepStarts' | 'hooks' | 'eventLoop'>,
  due: Pick<WatchedTraining, 'hooks'>,
  {firstIdleStep, firstDueStep, firstEpoch}: Firsts,
): CallbackSamples {
  const idleHooks = withAll(idle.hooks);
  const dueHooks = withAll(due.hooks);
  const durations = idle.stepStarts
    .slice(1)
    .map((start, i) => start - idle.stepStarts[i] - idleHooks.all.steps[i]);
  const ofIdleSteps = (steps: number[]) => sampleOf(steps.slice(firstIdleStep, -1));
  const hookSamples = (name: string): HookSamples => ({
    idleStep: ofIdleSteps(idleHooks[name].steps),
    ...(['all', ...dueOnSteps].includes(name) && {
      dueStep: sampleOf(dueHooks[name].steps.slice(firstDueStep)),
    }),
    epochEnd: sampleOf(dueHooks[name].epochEnds.slice(firstEpoch)),
  });
  return {
    step: sampleOf(durations.slice(firstIdleStep)),
    hooks: Object.fromEntries(
      Object.keys(idleHooks).map(name => [name, hookSamples(name)]),
    ),
    eventLoop: ofIdleSteps(idle.eventLoop.steps),
  };
}

function withAll(hooks: Record<string, HookTimes>): Record<string, HookTimes> {
  return {...hooks, all: sumOf(Object.values(hooks))};
}

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
    // The first one in the list lets the event loop run instead of fit and of those behind
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
    MovingStatisticsSummary: new MovingStatisticsSummary({
      writer: eventFiles(join(folder, 'logs')),
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

/** Milliseconds, in the order in which they were spent. */
export interface HookTimes {
  /** `onBatchBegin` and `onBatchEnd` of each step, together. */
  steps: number[];
  /** `onEpochEnd` of each epoch. */
  epochEnds: number[];
}

/**
 * Times the hooks of the callback from now on, each until what it returns has resolved: for so
 * long the training waits for it.
 */
export function timeHooks(
  callback: tfl.Callback,
  now = () => performance.now(),
): HookTimes {
  const times: HookTimes = {steps: [], epochEnds: []};
  type Hook = 'onBatchBegin' | 'onBatchEnd' | 'onEpochEnd';
  const wrap = (name: Hook, add: (ms: number) => void) => {
    const hook = callback[name];
    callback[name] = async (...args: Parameters<typeof hook>) => {
      const start = now();
      await hook.apply(callback, args);
      add(now() - start);
    };
  };
  wrap('onBatchBegin', ms => times.steps.push(ms));
  wrap('onBatchEnd', ms => (times.steps[times.steps.length - 1] += ms));
  wrap('onEpochEnd', ms => times.epochEnds.push(ms));
  return times;
}

/** The sum of several, step by step and epoch by epoch. */
export function sumOf(several: readonly HookTimes[]): HookTimes {
  return {
    steps: addUp(several.map(({steps}) => steps)),
    epochEnds: addUp(several.map(({epochEnds}) => epochEnds)),
  };
}

function addUp([first, ...others]: readonly number[][]): number[] {
  return first.map((ms, i) => others.reduce((sum, other) => sum + other[i], ms));
}
