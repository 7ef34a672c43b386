/** How long a training is in the hooks of a callback. */
import type * as tfl from '@tensorflow/tfjs-layers';

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
