/** Whole networks: the time of a training step, its memory, and what callbacks add to it. */
import type {BackendName, Device} from './backends.js';
import {attempt, type Measurement, timeTask} from './measurement.js';
import {resNet20, resNet50, resNet8} from './network_sizes.js';
import {callbackRatios, peakRatios, toOurs} from './ratios.js';
import type {Peak} from './requests.js';
import type {Pace} from './take_turns.js';

const pace: Pace = {rounds: 15, fewestRounds: 3, budgetMs: 60_000, repetitionMs: 1};

/** Undefined if they are. */
export function whyNoNetworks(backend: BackendName, device: Device): string | undefined {
  const takesMinutes = 'whole networks are left out: a step would take minutes';
  if (backend === 'cpu') return takesMinutes;
  if (device.kind === 'software gpu') return `${takesMinutes} on ${device.name}`;
  // The pages hold the norms alone.
  if (backend.startsWith('chromium')) return 'whole networks are measured in Node alone';
  return undefined;
}

export async function measureSteps(measurement: Measurement): Promise<void> {
  for (const network of [resNet20, resNet50]) {
    await attempt(measurement, `step of ${network.name}`, async () => {
      const task = {kind: 'step', network} as const;
      const {samples, parameters} = await timeTask(measurement, task, pace);
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
