/** What the medians come to beside each other. */
import type {CallbackSamples, Direction, Peak} from './requests.js';
import type {Copy, Ratios, Samples} from './report.js';
import type {Sample} from './sample.js';

const bytesPerValue = 4;

/**
 * Tensors of the size of x that a norm reads and writes at least. Forward it reads x twice, for
 * the statistics and to normalize, and writes y; backward it reads x and dy twice and writes dx.
 */
const leastTensors: Record<Direction, number> = {
  forward: 3,
  'forward + backward': 3 + 5,
};

export function copyOf(values: number, sample: Sample): Copy {
  const bytes = 2 * values * bytesPerValue;
  return {bytes, sample, gigabytesPerSecond: bytes / sample.median / 1e6};
}

/** Milliseconds that the traffic to memory takes at the bandwidth of a copy. */
export function leastMs(
  shape: readonly number[],
  direction: Direction,
  {gigabytesPerSecond}: Copy,
): number {
  const bytes = shape.reduce((a, b) => a * b, bytesPerValue) * leastTensors[direction];
  return bytes / gigabytesPerSecond / 1e6;
}

/** How many times as long as ResBatchNorm each of the others takes: `builtIn / ours`, … */
export function toOurs(samples: Samples): Ratios {
  const {ours, ...others} = samples;
  return ours ? ratiosTo(ours.median, others) : {};
}

function ratiosTo(ours: number, others: Samples): Ratios {
  return Object.fromEntries(
    Object.entries(others).map(([name, {median}]) => [`${name} / ours`, median / ours]),
  );
}

export function normRatios(samples: Samples, least: number | undefined): Ratios {
  const {ours} = samples;
  return {
    ...toOurs(samples),
    ...(ours && least !== undefined && {'ours / least': ours.median / least}),
  };
}

export function peakRatios(peaks: Record<string, Peak>): Ratios {
  const {ours, builtIn} = peaks;
  return {
    'ours / builtIn, numBytes': ours.numBytes / builtIn.numBytes,
    'ours / builtIn, bufferBytes': ours.bufferBytes / builtIn.bufferBytes,
  };
}

/** Which part of a step each callback adds to it, when nothing is due. */
export function callbackRatios({step, hooks}: CallbackSamples): Ratios {
  return Object.fromEntries(
    Object.entries(hooks).map(([name, {idleStep}]) => [
      `${name} / step`,
      idleStep.median / step.median,
    ]),
  );
}
