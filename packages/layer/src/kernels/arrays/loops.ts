/**
 * The loops of batch normalization over arrays: two that read, two that write, which is the
 * least traffic there can be.
 */
import type {FusedActivation} from '../kernel.js';

/** scale·(x − mean) + offset: one value of each a channel. */
export interface Affine {
  mean: Float64Array;
  scale: Float64Array;
  offset: Float64Array;
}

/** What an activation lets through: values in these bounds, which it cuts off all others to. */
export type Bounds = readonly [low: number, high: number];

export const bounds: Record<FusedActivation, Bounds> = {
  linear: [-Infinity, Infinity],
  relu: [0, Infinity],
  relu6: [0, 6],
};

/**
 * dz = dy·activation′: dy where the activation let y through, 0 elsewhere. Without y the
 * activation is linear, and dz is dy.
 */
export interface Upstream {
  dy: Float32Array;
  y?: Float32Array;
  bounds: Bounds;
}

/** The loops over arrays of one view (channel_view.ts). */
export interface Loops {
  /** The mean and the biased variance of each channel. */
  moments(x: Float32Array): Record<'mean' | 'variance', Float64Array>;

  /** y = activation(scale·(x − mean) + offset + shortcut). */
  normalize(
    y: Float32Array,
    x: Float32Array,
    affine: Affine,
    shortcut: Float32Array | undefined,
    bounds: Bounds,
  ): void;

  /** Σdz, Σx′ and Σdz·x′ of each channel, with x′ = x − mean. */
  gradSums(
    upstream: Upstream,
    x: Float32Array,
    mean: Float32Array,
  ): Record<'sumDz' | 'sumX' | 'sumDzX', Float64Array>;

  /** dx = dzScale·dz + scale·(x − mean) + offset, and dz, where it is asked for. */
  inputGrad(
    dx: Float32Array,
    dz: Float32Array | undefined,
    upstream: Upstream,
    x: Float32Array,
    affine: Affine & {dzScale: Float64Array},
  ): void;
}
