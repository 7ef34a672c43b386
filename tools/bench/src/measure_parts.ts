/** The parts of a measurement, each on one backend. */
import type {Device} from '@resbatchnorm/tools-common/device';

import {
  directions,
  inferenceNetworks,
  networkTitle,
  phases,
  resNet20,
  resNet50,
  resNet8,
  shapeName,
} from './cases.js';
import type {OpenLibrary} from './libraries.js';
import type {PartName} from './options.js';
import {
  type BackendReport,
  callbackRatios,
  copyOf,
  leastMs,
  normRatios,
  peakRatios,
  ratiosTo,
  type Samples,
  toOurs,
} from './report.js';
import type {BackendName, Channel, Peak, Prepared, Task} from './requests.js';
import {type Pace, takeTurns, type TimedContender} from './take_turns.js';

export interface Measurement {
  /** What measures on the backend. */
  channel: Channel;
  /** Other libraries on the same device. */
  libraries: readonly Pick<OpenLibrary, 'ask' | 'library'>[];
  report: BackendReport;
  quick: boolean;
  onStage(text: string): void;
}

/** A failure is noted, and what comes after it is measured all the same. */
async function attempt(
  {report, onStage}: Pick<Measurement, 'report' | 'onStage'>,
  what: string,
  act: () => Promise<void>,
): Promise<void> {
  onStage(`${report.backend}: ${what}`);
  try {
    await act();
  } catch (error) {
    report.failures.push(`${what}: ${(error as Error).message.split('\n')[0]}`);
  }
}

interface Timed {
  samples: Samples;
  parameters: Record<string, number>;
}

/** The tasks that other libraries have, too. */
const tasksOfLibraries: readonly Task['kind'][] = ['norm', 'step'];

/** Whether any of the parts compares with other libraries: they take a while to start. */
export function isWithLibraries(parts: readonly PartName[]): boolean {
  return parts.some(part => (tasksOfLibraries as readonly string[]).includes(part));
}

/** Times the contenders of the backend and, where they have the task, of other libraries. */
async function timeTask(
  {channel, libraries}: Measurement,
  task: Task,
  pace: Pace,
): Promise<Timed> {
  const contenders: TimedContender[] = [];
  const parameters: Record<string, number> = {};
  const others = tasksOfLibraries.includes(task.kind) ? libraries : [];
  for (const side of [channel, ...others]) {
    const prepared: Prepared = await side.ask('prepare', task);
    Object.assign(parameters, prepared.parameters);
    for (const name of prepared.contenders) {
      const time = (count: number) => side.ask('time', {contender: name, count});
      contenders.push({name, time});
    }
  }
  return {samples: await takeTurns(contenders, pace), parameters};
}

type Shapes = readonly (readonly number[])[];

// Larger than the caches.
const copiedValues = 2 ** 24;

const normPace: Pace = {rounds: 15, fewestRounds: 5, budgetMs: 15_000, repetitionMs: 30};
const quickNormPace: Pace = {
  rounds: 3,
  fewestRounds: 1,
  budgetMs: 5_000,
  repetitionMs: 10,
};

export async function measureNorms(
  measurement: Measurement,
  shapes: Shapes,
): Promise<void> {
  const {report, quick} = measurement;
  const pace = quick ? quickNormPace : normPace;
  await attempt(measurement, 'copy bandwidth', async () => {
    const task = {kind: 'copy', values: copiedValues} as const;
    const {samples} = await timeTask(measurement, task, pace);
    report.copy = copyOf(copiedValues, samples.copy);
  });
  for (const shape of shapes) {
    for (const direction of directions) {
      await attempt(measurement, `${shapeName(shape)}, ${direction}`, async () => {
        const task = {kind: 'norm', shape, direction} as const;
        const {samples} = await timeTask(measurement, task, pace);
        const least = report.copy && leastMs(shape, direction, report.copy);
        report.norms.push({
          shape,
          direction,
          samples,
          leastMs: least,
          ratios: normRatios(samples, least),
        });
      });
    }
  }
}

export async function measureAccuracy(
  measurement: Measurement,
  shapes: Shapes,
): Promise<void> {
  const {channel, report} = measurement;
  for (const shape of shapes) {
    await attempt(measurement, `accuracy of ${shapeName(shape)}`, async () => {
      report.accuracy.push({shape, errors: await channel.ask('accuracy', {shape})});
    });
  }
}

const dispatchPace: Pace = {
  rounds: 30,
  fewestRounds: 10,
  budgetMs: 10_000,
  repetitionMs: 50,
};

export async function measureDispatch(measurement: Measurement): Promise<void> {
  const {report, quick} = measurement;
  const pace = quick ? quickNormPace : dispatchPace;
  for (const phase of phases) {
    await attempt(measurement, `small calls, ${phase}`, async () => {
      const {samples} = await timeTask(measurement, {kind: 'dispatch', phase}, pace);
      const ratios = {
        ...ratiosTo('multiplication', samples),
        ...ratiosTo('builtIn', samples),
      };
      report.dispatch.push({phase, samples, ratios});
    });
  }
}

const inferencePace: Pace = {
  rounds: 40,
  fewestRounds: 5,
  budgetMs: 40_000,
  repetitionMs: 30,
};

export async function measureInference(measurement: Measurement): Promise<void> {
  const {report, quick} = measurement;
  const pace = quick ? quickNormPace : inferencePace;
  for (const network of inferenceNetworks) {
    await attempt(measurement, `inference of ${networkTitle(network)}`, async () => {
      const task = {kind: 'inference', network} as const;
      const {samples, parameters} = await timeTask(measurement, task, pace);
      checkParameters(parameters);
      const ratios = ratiosTo('builtIn', samples);
      report.inference.push({network, samples, parameters, ratios});
    });
  }
}

const stepPace: Pace = {rounds: 15, fewestRounds: 3, budgetMs: 60_000, repetitionMs: 1};

/** Why no whole networks are trained; undefined if they are. */
export function whyNoNetworks(backend: BackendName, device: Device): string | undefined {
  const takesMinutes = 'no whole networks are trained: a step would take minutes';
  if (backend === 'cpu') return takesMinutes;
  if (device.kind === 'software gpu') return `${takesMinutes} on ${device.name}`;
  // The pages hold no trainer.
  if (backend.startsWith('chromium')) return 'whole networks are trained in Node alone';
  return undefined;
}

export async function measureSteps(measurement: Measurement): Promise<void> {
  for (const network of [resNet20, resNet50]) {
    await attempt(measurement, `step of ${network.name}`, async () => {
      const task = {kind: 'step', network} as const;
      const {samples, parameters} = await timeTask(measurement, task, stepPace);
      checkParameters(parameters);
      measurement.report.steps.push({
        network,
        samples,
        parameters,
        ratios: toOurs(samples),
      });
    });
  }
}

/** With other parameters it would be another model, and a false comparison. */
export function checkParameters(parameters: Record<string, number>): void {
  for (const hasNorm of [true, false]) {
    const models = Object.entries(parameters).filter(
      ([contender]) => hasNorm !== /none|without norm/.test(contender),
    );
    if (new Set(models.map(([, count]) => count)).size > 1) {
      const counts = models.map(([contender, count]) => `${contender} ${count}`);
      throw new Error(`the models differ in their parameters: ${counts.join(', ')}`);
    }
  }
}

export async function measureMemory(measurement: Measurement): Promise<void> {
  const network = resNet20;
  await attempt(measurement, `memory of ${network.name}`, async () => {
    const {channel, report} = measurement;
    const peaks: Record<string, Peak> = {};
    for (const contender of ['ours', 'builtIn', 'none']) {
      peaks[contender] = await channel.ask('peak', {network, contender});
    }
    report.memory = {network, peaks, ratios: peakRatios(peaks)};
  });
}

export async function measureCallbacks(measurement: Measurement): Promise<void> {
  const network = resNet8;
  await attempt(measurement, `callbacks of ${network.name}`, async () => {
    const {channel, report} = measurement;
    const samples = await channel.ask('callbacks', {network});
    report.callbacks = {network, ...samples, ratios: callbackRatios(samples)};
  });
}
