/** Reads moving statistics back and says what is wrong with their values. */
import {findWeight} from '../batch_norm_layers.js';
import type {Layer} from '../batch_norm_layers.js';
import {negativeVariance, nonFiniteStatistics} from './violations.js';
import type {Finding} from './violations.js';

export async function checkStatistics(layer: Layer): Promise<Finding[]> {
  const [mean, variance] = await Promise.all([
    readWeight(layer, 'moving_mean'),
    readWeight(layer, 'moving_variance'),
  ]);
  const findings: Finding[] = [];
  for (const [name, values] of Object.entries({
    moving_mean: mean,
    moving_variance: variance,
  })) {
    const bad = values.filter(value => !Number.isFinite(value)).length;
    if (bad > 0) findings.push(nonFiniteStatistics(name, bad, values.length));
  }
  const negative = variance.filter(value => value < 0 && Number.isFinite(value));
  if (negative.length > 0) {
    const lowest = negative.reduce((a, b) => Math.min(a, b));
    findings.push(negativeVariance(lowest, negative.length, variance.length));
  }
  return findings;
}

async function readWeight(layer: Layer, name: string): Promise<number[]> {
  const values = await findWeight(layer, name)?.read().data();
  return Array.from(values ?? []);
}
