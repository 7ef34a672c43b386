/** The arguments of ResBatchNorm and their checks. */
import * as tfl from '@tensorflow/tfjs-layers';

import {describe, ValueError} from './errors.js';

/** tfjs-layers does not export the types of its arguments by name. */
type LayerArgs = NonNullable<ConstructorParameters<typeof tfl.layers.Layer>[0]>;
type BuiltInArgs = NonNullable<Parameters<typeof tfl.layers.batchNormalization>[0]>;

export interface ResBatchNormArgs extends LayerArgs {
  /** The axis of the channels, which is not normalized over; never 0. Default −1. */
  axis?: number;
  /** Weight of the old value in the moving statistics, 0 to 1. Default 0.9. */
  momentum?: number;
  /** Added to the variance under the root, > 0. Default 1e-3. */
  epsilon?: number;
  /** Whether to add beta. Default true. */
  center?: boolean;
  /** Whether to multiply by gamma. Default true. */
  scale?: boolean;
  /**
   * What a batch does whose mean or variance is not finite: `'skip'` leaves the moving
   * statistics as they are, `'propagate'` lets them become NaN or infinite for good.
   * Default `'skip'`.
   */
  nonFiniteUpdates?: 'skip' | 'propagate';
  /** Default `'zeros'`. */
  betaInitializer?: BuiltInArgs['betaInitializer'];
  /** Default `'ones'`. */
  gammaInitializer?: BuiltInArgs['gammaInitializer'];
  /** Default `'zeros'`. */
  movingMeanInitializer?: BuiltInArgs['movingMeanInitializer'];
  /** Default `'ones'`. */
  movingVarianceInitializer?: BuiltInArgs['movingVarianceInitializer'];
  /** Default none. */
  betaRegularizer?: BuiltInArgs['betaRegularizer'];
  /** Default none. */
  gammaRegularizer?: BuiltInArgs['gammaRegularizer'];
  /** Default none. */
  betaConstraint?: BuiltInArgs['betaConstraint'];
  /** Default none. */
  gammaConstraint?: BuiltInArgs['gammaConstraint'];
}

interface Rule {
  expected: string;
  accepts(value: unknown): boolean;
}

const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

const aBoolean: Rule = {
  expected: 'true or false',
  accepts: value => typeof value === 'boolean',
};

const aShape: Rule = {
  expected: 'an array of positive integers and nulls',
  accepts: value =>
    Array.isArray(value) &&
    value.every(size => size === null || (Number.isInteger(size) && size >= 0)),
};

/** Whether the built-in batch normalization, which parses them alike, takes the value. */
function parsed(key: keyof BuiltInArgs, kind: string): Rule {
  return {
    expected: `${kind}, the name of one, or the config of one that is registered`,
    accepts: value => {
      try {
        tfl.layers.batchNormalization({name: 'parser', [key]: value});
        return true;
      } catch {
        return false;
      }
    },
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
    expected: 'a number from 0 to 1, the weight of the old value',
    accepts: value => isNumber(value) && value >= 0 && value <= 1,
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
    accepts: value => Number.isInteger(value) && (value as number) > 0,
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
  return args as ResBatchNormArgs;
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
