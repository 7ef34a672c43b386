/** The checks of the arguments of ResBatchNorm, each alone and then together. */
import {
  activationNames,
  flag,
  isPositiveInteger,
  objectArguments,
  options,
  parser,
  succeeds,
  type ObjectArgument,
  type ResBatchNormArgs,
  type Rule,
} from './arguments.js';
import {describe, nearest, ValueError} from './errors.js';

const shape: Rule = {
  expected: 'an array of integers, none of them negative, and nulls',
  accepts: value =>
    Array.isArray(value) &&
    value.every(size => size === null || (Number.isInteger(size) && size >= 0)),
};

const float32: Rule = {expected: "'float32'", accepts: value => value === 'float32'};

const rules: Record<keyof ResBatchNormArgs, Rule> = {
  ...options,
  ...(Object.fromEntries(objectArguments.map(name => [name, objectRule(name)])) as Record<
    ObjectArgument,
    Rule
  >),
  name: {
    expected: 'a string that is not empty',
    accepts: value => typeof value === 'string' && value !== '',
  },
  trainable: flag(true),
  dtype: float32,
  inputDType: float32,
  inputShape: shape,
  batchInputShape: shape,
  batchSize: {expected: 'a positive integer', accepts: isPositiveInteger},
  weights: {
    expected: 'an array of tensors',
    accepts: value =>
      Array.isArray(value) && value.every(tensor => tensor?.dataId != null),
  },
};

/** Whether the built-in layer, which parses it alike, takes the value. */
function objectRule(name: ObjectArgument): Rule {
  const kind = /Initializer|Regularizer|Constraint/.exec(name)![0].toLowerCase();
  const article = kind === 'initializer' ? 'an' : 'a';
  const orNull = kind === 'initializer' ? '' : ', or null';
  return {
    expected: `${article} ${kind}, the name of one, or the config of one that is registered${orNull}`,
    accepts: value => succeeds(() => parser({[name]: value})),
  };
}

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
      const hint = key === 'activation' ? activationMeant(value) : '.';
      throw new ValueError(
        `${layer}: ${key} must be ${rule.expected}${hint} Received: ${describe(value)}`,
      );
    }
  }
  const conflict = conflictIn(args);
  if (conflict !== null) throw new ValueError(`${layer}: ${conflict}`);
  return args;
}

/** The names of all activations, and the one that was meant if a name is close to it. */
function activationMeant(value: unknown): string {
  const names = activationNames();
  const meant = typeof value === 'string' ? nearest(value, names) : undefined;
  const list = names.map(name => `'${name}'`).join(', ');
  return `: ${list}.${meant === undefined ? '' : ` Did you mean '${meant}'?`}`;
}

function unknownArgument(key: string): string {
  const known = Object.keys(rules);
  const meant = nearest(key.replaceAll('_', ''), known);
  const hint =
    otherNames[key] ??
    (meant === undefined ? `Known are ${known.join(', ')}.` : `Did you mean '${meant}'?`);
  return `there is no argument '${key}'. ${hint}`;
}

/** Arguments that are right each by itself and make no sense together. */
interface Conflict {
  is(args: ResBatchNormArgs): boolean;
  /** The arguments that are at odds, to be shown. */
  between: (keyof ResBatchNormArgs)[];
  why: string;
}

const isSet = (value: unknown) =>
  value !== undefined && value !== null && value !== false;

/** Arguments of which one alone may be set. */
function exclusive(
  a: keyof ResBatchNormArgs,
  b: keyof ResBatchNormArgs,
  why: string,
): Conflict {
  return {is: args => isSet(args[a]) && isSet(args[b]), between: [a, b], why};
}

/** An argument that does nothing unless another is set. */
function needs(
  a: keyof ResBatchNormArgs,
  b: keyof ResBatchNormArgs,
  why: string,
): Conflict {
  return {is: args => isSet(args[a]) && !isSet(args[b]), between: [a, b], why};
}

/** An argument about moving statistics, where there are none. */
function untracked(
  key: keyof ResBatchNormArgs,
  isGiven: (args: ResBatchNormArgs) => boolean = args => isSet(args[key]),
): Conflict {
  return {
    is: args => args.trackMovingStatistics === false && isGiven(args),
    between: ['trackMovingStatistics', key],
    why: 'there are no moving statistics that it could apply to',
  };
}

const isCumulative = (args: ResBatchNormArgs) => args.momentum === null;

const conflicts: Conflict[] = [
  exclusive(
    'renorm',
    'virtualBatchSize',
    'the statistics of parts of a batch are not renormalized',
  ),
  exclusive('renorm', 'zeroDebiasMovingMean', 'renorm has moving statistics of its own'),
  exclusive(
    'renorm',
    'unbiasedMovingVariance',
    'renorm averages the standard deviation, not the variance',
  ),
  {
    is: args => isSet(args.renorm) && isCumulative(args),
    between: ['renorm', 'momentum'],
    why: 'renorm needs a momentum',
  },
  {
    is: args => isSet(args.zeroDebiasMovingMean) && isCumulative(args),
    between: ['zeroDebiasMovingMean', 'momentum'],
    why: 'a plain average needs no correction',
  },
  {
    is: args => isSet(args.zeroDebiasMovingMean) && args.momentum === 1,
    between: ['zeroDebiasMovingMean', 'momentum'],
    why: 'an average that gathers no weight can not be corrected for it',
  },
  exclusive(
    'virtualBatchSize',
    'adjustment',
    'an adjustment is made for the shape of a whole batch',
  ),
  exclusive(
    'virtualBatchSize',
    'synchronized',
    'a batch is either split or joined with those of other replicas',
  ),
  needs('renormClipping', 'renorm', 'it bounds what renorm does'),
  needs('renormMomentum', 'renorm', 'it is the momentum of renorm alone'),
  {
    is: ({renormClipping}) =>
      renormClipping?.rmin != null &&
      renormClipping.rmax != null &&
      renormClipping.rmax < renormClipping.rmin,
    between: ['renormClipping'],
    why: 'rmax must not be less than rmin',
  },
  untracked('renorm'),
  untracked('unbiasedMovingVariance'),
  untracked('zeroDebiasMovingMean'),
  untracked('momentum', isCumulative),
];

/** What is wrong with the arguments together, or null. */
function conflictIn(args: ResBatchNormArgs): string | null {
  const conflict = conflicts.find(({is}) => is(args));
  if (conflict === undefined) return null;
  const {between, why} = conflict;
  const received = between.map(key => `${key} ${describe(args[key])}`).join(', ');
  return between.length === 1
    ? `${between[0]}: ${why}. Received: ${received}`
    : `${between.join(' and ')} do not go together: ${why}. Received: ${received}`;
}
