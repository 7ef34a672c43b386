import type {Affine} from './loops.js';

type Floats = Float32Array | Float64Array;

/** Normalization as the loops do it: scale = gamma/√(variance + epsilon), offset = beta. */
export function normalization(
  {gamma, beta, mean, variance}: Record<'gamma' | 'beta' | 'mean' | 'variance', Floats>,
  epsilon: number,
): Affine {
  return {
    mean: Float64Array.from(mean),
    scale: Float64Array.from(gamma, (g, c) => g / Math.sqrt(variance[c] + epsilon)),
    offset: Float64Array.from(beta),
  };
}
