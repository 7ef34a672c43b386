/** What the callbacks take in a training. */
import {loadDigits} from '@resbatchnorm/resnet';

import {type HookTimes, sumOf} from './hook_times.js';
import type {CallbackSamples, HookSamples, Network} from './requests.js';
import {sampleOf} from './sample.js';
import {type WatchedTraining, watchTraining} from './watched_training.js';

/** Steps, and epochs, that are left out: code is compiled and memory allocated in them. */
const warmUpSteps = 20;
const warmUpEpochs = 1;

/** Those that are due on some steps; the others do the same on each. */
const dueOnSteps = ['MovingStatisticsSummary', 'ModelCheckpoint', 'ProgressBar'];

/**
 * The difference of a training with and one without callbacks is lost in the noise of either, so
 * the time in their hooks is measured, in the same training as that of the steps.
 */
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
