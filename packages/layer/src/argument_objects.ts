/** The arguments that are objects or name one: initializers, regularizers, constraints. */
import type {serialization} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import type {ResBatchNormArgs} from './arguments.js';

const keys = [
  'betaInitializer',
  'gammaInitializer',
  'movingMeanInitializer',
  'movingVarianceInitializer',
  'betaRegularizer',
  'gammaRegularizer',
  'betaConstraint',
  'gammaConstraint',
] as const;

type ArgumentKey = (typeof keys)[number];

/** What the argument is once names and configs are resolved. */
type Parsed = {
  [Key in ArgumentKey]: Exclude<ResBatchNormArgs[Key], string | undefined>;
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
    // A name of its own, so that it takes no number from the user's layers.
    this.builtIn = tfl.layers.batchNormalization({
      ...(pick(args) as object),
      name: 'parser',
    });
  }

  get parsed(): Parsed {
    return this.builtIn as unknown as Parsed;
  }

  getConfig(): serialization.ConfigDict {
    return pick(this.builtIn.getConfig());
  }
}

function pick<T extends object>(from: T): T {
  return Object.fromEntries(
    Object.entries(from).filter(([key]) => keys.includes(key as ArgumentKey)),
  ) as T;
}
