/** The norm alone: its times, beside those of a copy, and its accuracy. */
import {attempt, type Measurement, timeTask} from './measurement.js';
import {copyOf, leastMs, normRatios} from './ratios.js';
import {directions} from './requests.js';
import {shapeName} from './shapes.js';
import type {Pace} from './take_turns.js';

type Shapes = readonly (readonly number[])[];

// Larger than the caches.
const copiedValues = 2 ** 24;

const pace: Pace = {rounds: 15, fewestRounds: 5, budgetMs: 15_000, repetitionMs: 30};
const quickPace: Pace = {rounds: 3, fewestRounds: 1, budgetMs: 5_000, repetitionMs: 10};

export async function measureNorms(
  measurement: Measurement,
  shapes: Shapes,
): Promise<void> {
  const {report, quick} = measurement;
  const itsPace = quick ? quickPace : pace;
  await attempt(measurement, 'copy bandwidth', async () => {
    const task = {kind: 'copy', values: copiedValues} as const;
    const {samples} = await timeTask(measurement, task, itsPace);
    report.copy = copyOf(copiedValues, samples.copy);
  });
  for (const shape of shapes) {
    for (const direction of directions) {
      await attempt(measurement, `${shapeName(shape)}, ${direction}`, async () => {
        const task = {kind: 'norm', shape, direction} as const;
        const {samples} = await timeTask(measurement, task, itsPace);
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
