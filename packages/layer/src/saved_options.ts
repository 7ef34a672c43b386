import type {serialization} from '@tensorflow/tfjs-core';

import type {LayerOptions} from './arguments.js';

// There in every runtime, and in neither of the type libraries that they share.
declare const console: {warn(message: string): void};

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
    renormClipping: renormClipping === null ? null : Object.fromEntries(bounds),
  };
}
