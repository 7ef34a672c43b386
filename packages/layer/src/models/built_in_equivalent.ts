/**
 * What a ResBatchNorm computes in inference mode, in layers that tfjs-layers has. Its own batch
 * normalization takes ranks 2 to 4, is right for the last axis alone, and has neither a second
 * input nor an activation; so other layers stand before and after it.
 */
import type {serialization} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {objectArguments} from '../arguments.js';
import type {Layer} from '../batch_norms.js';
import {channelAxis} from '../channel_view.js';

type BuiltInArgs = NonNullable<Parameters<typeof tfl.layers.batchNormalization>[0]>;
type Activation = Parameters<typeof tfl.layers.activation>[0]['activation'];

const builtInArgs: readonly string[] = [
  'name',
  'trainable',
  'momentum',
  'epsilon',
  'center',
  'scale',
  ...objectArguments,
];

const LARGEST_RANK = 4;

/**
 * Why there is no equivalent, or null.
 *
 * @param isMasked Whether a mask reaches the layer.
 */
export function whyNoEquivalent(
  config: serialization.ConfigDict,
  shape: tfl.Shape,
  isMasked: boolean,
): string | null {
  if (config.trackMovingStatistics === false) {
    return 'it has trackMovingStatistics false: the built-in has no inference mode without them';
  }
  const unknown = shape.slice(1).filter(size => size === null).length;
  if (shape.length > LARGEST_RANK && unknown > 1) {
    return (
      `its input, [${shape.map(size => size ?? 'null').join(', ')}], is of rank over ` +
      `${LARGEST_RANK} and must be reshaped, for which all sizes but one must be known`
    );
  }
  if (isMasked && builtInEquivalent(config, shape).before.length > 0) {
    return 'its input is masked, and Permute and Reshape, which it would need, drop the mask';
  }
  return null;
}

/** One layer of the equivalent, made under a name that extends that of the batch norm. */
export interface Part {
  suffix: string;
  make(name: string): Layer;
}

export interface Equivalent {
  before: Part[];
  norm(): Layer;
  after: Part[];
  activation: Part | null;
}

/** The equivalent of a layer with this config, for an input of this shape. */
export function builtInEquivalent(
  config: serialization.ConfigDict,
  shape: tfl.Shape,
): Equivalent {
  const rank = shape.length;
  const channel = channelAxis(rank, config.axis as number);
  const before: Part[] = [];
  const after: Part[] = [];
  let channelsLast = shape;
  if (channel !== rank - 1) {
    const order = shape.map((_, i) => i).filter(i => i !== channel);
    const there = [...order, channel];
    before.push(permute('channels_last', there));
    after.unshift(
      permute(
        'channels_back',
        shape.map((_, i) => there.indexOf(i)),
      ),
    );
    channelsLast = there.map(i => shape[i]);
  }
  if (rank > LARGEST_RANK) {
    before.push(reshape('flat', [null, channelsLast.at(-1)!]));
    after.unshift(reshape('unflat', channelsLast.slice(1)));
  }
  return {
    before,
    norm: () => tfl.layers.batchNormalization(argsOf(config)),
    after,
    activation: config.activation === 'linear' ? null : activation(config.activation),
  };
}

/** The arguments that the built-in shares; its axis is the last. */
function argsOf(config: serialization.ConfigDict): BuiltInArgs {
  const shared = builtInArgs
    // A momentum of null, the plain average, has no counterpart: the built-in's default.
    .filter(key => config[key] != null)
    .map(key => [key, config[key]]);
  return Object.fromEntries(shared);
}

/** @param order The axis that each axis comes from, that of the batch, 0, first. */
function permute(suffix: string, order: number[]): Part {
  const dims = order.slice(1);
  return {suffix, make: name => tfl.layers.permute({dims, name})};
}

function reshape(suffix: string, targetShape: tfl.Shape): Part {
  return {suffix, make: name => tfl.layers.reshape({targetShape, name})};
}

function activation(name: unknown): Part {
  return {
    suffix: 'activation',
    make: partName =>
      tfl.layers.activation({activation: name as Activation, name: partName}),
  };
}
