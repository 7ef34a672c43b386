/**
 * The arguments of ResBatchNorm: what each is, its default, what it may be by itself, and how it
 * is saved. A new argument is a field of ResBatchNormArgs and a line of one of the two tables.
 */
import {serialization} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {soleOf} from './batch_norms.js';
import type {ActivationName} from './norm/epilogue.js';
import type {Adjustment, RenormClipping} from './norm/variants.js';

// There in every runtime, and in neither of the type libraries that they share.
declare const console: {warn(message: string): void};

/** tfjs-layers does not export the types of its arguments by name. */
type LayerArgs = NonNullable<ConstructorParameters<typeof tfl.layers.Layer>[0]>;
type BuiltInArgs = NonNullable<Parameters<typeof tfl.layers.batchNormalization>[0]>;

/** As it is on import: a program may put ResBatchNorm in its place. */
export const {batchNormalization: builtInBatchNorm} = tfl.layers;

export interface ResBatchNormArgs extends LayerArgs {
  /**
   * The axis of the channels, which is not normalized over; never 0. May be a list of one, as
   * tf.keras of TensorFlow 2 writes it. Default −1.
   */
  axis?: number | [number];
  /**
   * Weight of the old value in the moving statistics, 0 to 1; `null` for the plain average
   * over all batches, whose count is a weight, num_batches_tracked. Default 0.9.
   */
  momentum?: number | null;
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
  /**
   * Whether the moving variance follows the unbiased variance of the batch, n/(n − 1) times
   * the biased one, as in PyTorch and in fused TensorFlow. The batch itself is normalized with
   * the biased one either way. Default false.
   */
  unbiasedMovingVariance?: boolean;
  /**
   * Whether there are moving statistics. If not, the batch's own are used in inference mode,
   * too (PyTorch's `track_running_stats=False`). Default true.
   */
  trackMovingStatistics?: boolean;
  /**
   * Batch renormalization: in training, too, normalizes with moving statistics of its own
   * (renorm_mean, renorm_stddev), as far as `renormClipping` lets it. Adds the weights
   * moving_stddev, renorm_mean, renorm_stddev. Default false.
   */
  renorm?: boolean;
  /** Bounds of the correction that renorm makes. Default none. */
  renormClipping?: RenormClipping | null;
  /** Weight of the old value in renorm_mean and renorm_stddev, 0 to 1. Default 0.99. */
  renormMomentum?: number;
  /**
   * Ghost batch normalization: the number of examples in each of the parts that a batch is
   * split into in training, to be normalized alone. It must divide the batch size.
   * Default none.
   */
  virtualBatchSize?: number | null;
  /**
   * Whether the moving mean is corrected for having started at its initial value
   * (tf.contrib's `zero_debias_moving_mean`). Adds the weights moving_mean_biased and
   * moving_mean_local_step. Default false.
   */
  zeroDebiasMovingMean?: boolean;
  /**
   * Scales and shifts the normalized value in training, before gamma and beta. A function
   * can't be saved: a layer that was loaded has none. Default none.
   */
  adjustment?: Adjustment | null;
  /**
   * Whether a training call of one of several replicas (@resbatchnorm/distributed) normalizes by
   * the statistics of all their batches together. Alone it changes nothing. Default false.
   */
  synchronized?: boolean;
  /** Applied at the end, by its name in tfjs-layers. Default `'linear'`. */
  activation?: ActivationName;
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

/** What an argument may be. */
export interface Rule {
  /** In words, for messages. */
  expected: string;
  accepts(value: unknown): boolean;
}

/** One of the arguments that the layer itself goes by, and saves. */
interface Option<T> extends Rule {
  default: T;
}

function option<T>(
  defaultValue: T,
  expected: string,
  accepts: Rule['accepts'],
): Option<T> {
  return {default: defaultValue, expected, accepts};
}

export const flag = (value: boolean) => option(value, 'true or false', isBoolean);

export const options = {
  axis: option(-1, 'an integer other than 0, which is the axis of the batch', value =>
    isAxis(soleOf(value)),
  ),
  momentum: option<number | null>(
    0.9,
    'a number from 0 to 1, the weight of the old value, or null',
    orNull(isFraction),
  ),
  epsilon: option(1e-3, 'a number greater than 0', v => isFinite(v) && v > 0),
  center: flag(true),
  scale: flag(true),
  nonFiniteUpdates: option<'skip' | 'propagate'>(
    'skip',
    "'skip' or 'propagate'",
    value => value === 'skip' || value === 'propagate',
  ),
  unbiasedMovingVariance: flag(false),
  trackMovingStatistics: flag(true),
  renorm: flag(false),
  renormClipping: option<RenormClipping | null>(
    null,
    'an object of rmin, rmax and dmax, none of them negative, or null',
    orNull(isClipping),
  ),
  renormMomentum: option(0.99, 'a number from 0 to 1', isFraction),
  virtualBatchSize: option<number | null>(
    null,
    'a positive integer, or null',
    orNull(isPositiveInteger),
  ),
  zeroDebiasMovingMean: flag(false),
  adjustment: option<Adjustment | null>(
    null,
    'a function from a shape to a scale and an offset, or null',
    orNull(value => typeof value === 'function'),
  ),
  synchronized: flag(false),
  activation: option<ActivationName>(
    'linear',
    'the name of an activation',
    value => activationNamed(value) !== undefined,
  ),
};

/** The arguments that the layer itself goes by, all of them there. */
export type LayerOptions = {
  [Name in keyof typeof options]: (typeof options)[Name]['default'];
};

/** What was given, and the defaults for the rest. Null may have a meaning of its own. */
export function optionsOf(args: ResBatchNormArgs): LayerOptions {
  const entries = Object.entries(options).map(([name, {default: value}]) => {
    const given = args[name as keyof LayerOptions];
    return [name, given === undefined ? value : given];
  });
  const {axis, activation, ...rest} = Object.fromEntries(entries);
  return {...rest, axis: soleOf(axis), activation: activationNamed(activation)};
}

/** The arguments that are objects or name one; the built-in batch normalization has them, too. */
export const objectArguments = [
  'betaInitializer',
  'gammaInitializer',
  'movingMeanInitializer',
  'movingVarianceInitializer',
  'betaRegularizer',
  'gammaRegularizer',
  'betaConstraint',
  'gammaConstraint',
] as const;

export type ObjectArgument = (typeof objectArguments)[number];

/** What they are once names and configs are resolved. */
type Parsed = {
  [Name in ObjectArgument]: Exclude<ResBatchNormArgs[Name], string | undefined>;
};

export type Initializer = Parsed['gammaInitializer'];

/**
 * tfjs-layers does not export what turns a name or a config into such an object. Its own batch
 * normalization takes the same arguments with the same defaults, so one of those, never
 * built, parses them here and serializes them again.
 */
export class ArgumentObjects {
  private readonly builtIn: tfl.layers.Layer;

  constructor(args: ResBatchNormArgs) {
    this.builtIn = parser(pick(args as object));
  }

  get parsed(): Parsed {
    return this.builtIn as unknown as Parsed;
  }

  getConfig(): serialization.ConfigDict {
    return pick(this.builtIn.getConfig());
  }
}

/** The built-in layer, of a name of its own, so that it takes no number from the user's layers. */
export function parser(args: BuiltInArgs): tfl.layers.Layer {
  return builtInBatchNorm({...args, name: 'parser'});
}

function pick<T extends object>(from: T): T {
  return Object.fromEntries(
    Object.entries(from).filter(([name]) =>
      objectArguments.includes(name as ObjectArgument),
    ),
  ) as T;
}

/** The options as they are saved, in a form that JSON keeps. */
export function savedOptions(
  layer: string,
  {adjustment, renormClipping, renormMomentum, ...options}: LayerOptions,
): serialization.ConfigDict {
  if (adjustment !== null) {
    console.warn(
      `ResBatchNorm '${layer}': the adjustment is a function, which can't be saved. A layer ` +
        'that is loaded from this has none: it predicts alike, and trains without it.',
    );
  }
  if (!options.renorm) return options;
  // JSON has no infinity; a bound that is missing is infinite anyway.
  const bounds = Object.entries(renormClipping ?? {}).filter(([, bound]) =>
    Number.isFinite(bound),
  );
  return {
    ...options,
    renormMomentum,
    renormClipping:
      renormClipping === null
        ? null
        : (Object.fromEntries(bounds) as serialization.ConfigDict),
  };
}

function orNull(accepts: Rule['accepts']): Rule['accepts'] {
  return value => value === null || accepts(value);
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isFinite(value: unknown): value is number {
  return Number.isFinite(value);
}

function isFraction(value: unknown): boolean {
  return isFinite(value) && value >= 0 && value <= 1;
}

export function isPositiveInteger(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) > 0;
}

function isAxis(value: unknown): boolean {
  return Number.isInteger(value) && value !== 0;
}

/** Bounds may be infinite, and null where an infinite one has been through JSON. */
function isClipping(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    Object.entries(value!).every(
      ([name, bound]) =>
        ['rmin', 'rmax', 'dmax'].includes(name) &&
        (bound == null || (typeof bound === 'number' && bound >= 0)),
    )
  );
}

/** The names of the activations of tfjs-layers, which registers each by its name. */
export function activationNames(): string[] {
  const {activation} = tfl.layers.activation({
    activation: 'linear',
    name: 'parser',
  }) as unknown as {activation: {constructor: object}};
  const base = Object.getPrototypeOf(activation.constructor);
  const registered = Object.entries(serialization.SerializationMap.getMap().classNameMap);
  return registered.flatMap(([name, [cls]]) =>
    Object.getPrototypeOf(cls) === base ? [name] : [],
  );
}

/**
 * The activation of that name, if there is one. tfjs-layers turns the names in a saved config
 * to camel case, and does not find `gelu_new` again.
 */
function activationNamed(name: unknown): ActivationName | undefined {
  if (typeof name !== 'string') return undefined;
  const snakeCase = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`);
  const names = activationNames();
  return [name, snakeCase].find(known => names.includes(known)) as ActivationName;
}

export function succeeds(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}
