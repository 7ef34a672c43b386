/**
 * How the moving statistics follow those of a batch: one rule a file. Each is a function from
 * the current values of a layer's non-trainable weights, by name, to the next ones.
 */
import type {Tensor} from '@tensorflow/tfjs-core';

import type {MovingStatisticsAttrs, RuleName} from '../kernels/kernel.js';
import type {LayerOptions} from '../arguments.js';
import {cumulative} from './cumulative.js';
import {exponential} from './exponential.js';
import {renorm} from './renorm.js';
import {zeroDebiased} from './zero_debiased.js';

export type Statistics = Record<string, Tensor>;

export type Rule = (
  current: Statistics,
  batch: {mean: Tensor; variance: Tensor},
  attrs: MovingStatisticsAttrs,
) => Statistics;

export const rules: Record<RuleName, Rule> = {
  exponential,
  cumulative,
  zeroDebiased,
  renorm,
};

/** The rule that the arguments of a layer ask for; of two, checkArgs would have said so. */
export function ruleOf(options: LayerOptions): RuleName {
  if (options.renorm) return 'renorm';
  if (options.zeroDebiasMovingMean) return 'zeroDebiased';
  return options.momentum === null ? 'cumulative' : 'exponential';
}
