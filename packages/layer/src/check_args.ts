/** The checks of ResBatchNorm's arguments, each alone and then together. */
import * as tfl from '@tensorflow/tfjs-layers';

import {conflictIn} from './argument_conflicts.js';
import {describe, ValueError} from './errors.js';
import type {BuiltInArgs, ResBatchNormArgs} from './arguments.js';

interface Rule {
  expected: string;
  accepts(value: unknown): boolean;
}

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

const isFraction = (value: unknown) => isNumber(value) && value >= 0 && value <= 1;

const isPositiveInteger = (value: unknown) =>
  Number.isInteger(value) && (value as number) > 0;

/** Bounds may be infinite, and null where an infinite one has been through JSON. */
const isClipping = (value: unknown) =>
  typeof value === 'object' &&
  Object.entries(value!).every(
    ([key, bound]) =>
      ['rmin', 'rmax', 'dmax'].includes(key) &&
      (bound == null || (typeof bound === 'number' && bound >= 0)),
  );

function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

const aBoolean: Rule = {
  expected: 'true or false',
  accepts: value => typeof value === 'boolean',
};

const aShape: Rule = {
  expected: 'an array of integers, none of them negative, and nulls',
  accepts: value =>
    Array.isArray(value) &&
    value.every(size => size === null || (Number.isInteger(size) && size >= 0)),
};

/** Whether the built-in batch normalization, which parses them alike, takes the value. */
function parsed(key: keyof BuiltInArgs, kind: string): Rule {
  return {
    expected: `${kind}, the name of one, or the config of one that is registered`,
    accepts: value =>
      succeeds(() => tfl.layers.batchNormalization({name: 'parser', [key]: value})),
  };
}

const nothingOr = ({expected, accepts}: Rule): Rule => ({
  expected: `${expected}, or null`,
  accepts: value => value === null || accepts(value),
});

const rules: Record<keyof ResBatchNormArgs, Rule> = {
  axis: {
    expected: 'an integer other than 0, which is the axis of the batch',
    accepts: value => Number.isInteger(value) && value !== 0,
  },
  momentum: {
    expected: 'a number from 0 to 1, the weight of the old value, or null',
    accepts: value => value === null || isFraction(value),
  },
  epsilon: {
    expected: 'a number greater than 0',
    accepts: value => isNumber(value) && value > 0,
  },
  center: aBoolean,
  scale: aBoolean,
  nonFiniteUpdates: {
    expected: "'skip' or 'propagate'",
    accepts: value => value === 'skip' || value === 'propagate',
  },
  unbiasedMovingVariance: aBoolean,
  trackMovingStatistics: aBoolean,
  renorm: aBoolean,
  renormClipping: {
    expected: 'an object of rmin, rmax and dmax, none of them negative, or null',
    accepts: value => value === null || isClipping(value),
  },
  renormMomentum: {expected: 'a number from 0 to 1', accepts: isFraction},
  virtualBatchSize: {
    expected: 'a positive integer, or null',
    accepts: value => value === null || isPositiveInteger(value),
  },
  zeroDebiasMovingMean: aBoolean,
  adjustment: {
    expected: 'a function from a shape to a scale and an offset, or null',
    accepts: value => value === null || typeof value === 'function',
  },
  activation: {
    expected: 'the name of an activation',
    accepts: value =>
      typeof value === 'string' &&
      succeeds(() => tfl.layers.activation({activation: value as never, name: 'parser'})),
  },
  betaInitializer: parsed('betaInitializer', 'an initializer'),
  gammaInitializer: parsed('gammaInitializer', 'an initializer'),
  movingMeanInitializer: parsed('movingMeanInitializer', 'an initializer'),
  movingVarianceInitializer: parsed('movingVarianceInitializer', 'an initializer'),
  betaRegularizer: nothingOr(parsed('betaRegularizer', 'a regularizer')),
  gammaRegularizer: nothingOr(parsed('gammaRegularizer', 'a regularizer')),
  betaConstraint: nothingOr(parsed('betaConstraint', 'a constraint')),
  gammaConstraint: nothingOr(parsed('gammaConstraint', 'a constraint')),
  name: {
    expected: 'a string that is not empty',
    accepts: value => typeof value === 'string' && value !== '',
  },
  trainable: aBoolean,
  dtype: {expected: "'float32'", accepts: value => value === 'float32'},
  inputDType: {expected: "'float32'", accepts: value => value === 'float32'},
  inputShape: aShape,
  batchInputShape: aShape,
  batchSize: {
    expected: 'a positive integer',
    accepts: isPositiveInteger,
  },
  weights: {
    expected: 'an array of tensors',
    accepts: value =>
      Array.isArray(value) && value.every(tensor => tensor?.dataId != null),
  },
};

/** What other batch norms call an argument of this one. */
const otherNames: Record<string, string> = {
  decay: "It is 'momentum' here: the weight of the old value.",
  eps: "It is 'epsilon' here.",
  variance_epsilon: "It is 'epsilon' here.",
  affine: "It is 'center' and 'scale' here.",
  num_features: 'The number of channels is taken from the input.',
  numFeatures: 'The number of channels is taken from the input.',
  training: 'It belongs to the call: apply(x, {training: true}).',
  is_training: 'It belongs to the call: apply(x, {training: true}).',
  updates_collections: 'Update ops are collected by collectUpdateOps().',
};

/**
 * Checks the arguments and returns them.
 *
 * @throws ValueError that names the layer, the argument, what it expects and what came in.
 */
export function checkArgs(args: unknown = {}): ResBatchNormArgs {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    throw new ValueError(
      `ResBatchNorm: the arguments must be one object. Received: ${describe(args)}`,
    );
  }
  const {name} = args as ResBatchNormArgs;
  const layer =
    typeof name === 'string' && name !== '' ? `ResBatchNorm '${name}'` : 'ResBatchNorm';
  for (const [key, value] of Object.entries(args)) {
    // tf.loadLayersModel adds this to the arguments of every layer.
    if (value === undefined || key === 'customObjects') continue;
    if (!Object.hasOwn(rules, key)) {
      throw new ValueError(`${layer}: ${unknownArgument(key)}`);
    }
    const rule = rules[key as keyof ResBatchNormArgs];
    if (!rule.accepts(value)) {
      throw new ValueError(
        `${layer}: ${key} must be ${rule.expected}. Received: ${describe(value)}`,
      );
    }
  }
  const conflict = conflictIn(args);
  if (conflict !== null) throw new ValueError(`${layer}: ${conflict}`);
  return args;
}

function unknownArgument(key: string): string {
  const camelCase = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const hint =
    otherNames[key] ??
    (Object.hasOwn(rules, camelCase)
      ? `Did you mean '${camelCase}'?`
      : `Known are ${Object.keys(rules).join(', ')}.`);
  return `there is no argument '${key}'. ${hint}`;
}
