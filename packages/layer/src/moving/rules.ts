import type {RuleName} from '../kernels/kernel.js';
import type {LayerOptions} from '../arguments.js';

/** The rule that the arguments of a layer ask for; of two, checkArgs would have said so. */
export function ruleOf(options: LayerOptions): RuleName {
  if (options.renorm) return 'renorm';
  if (options.zeroDebiasMovingMean) return 'zeroDebiased';
  return options.momentum === null ? 'cumulative' : 'exponential';
}
