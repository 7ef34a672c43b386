import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {ChannelView} from '../channel_view.js';
import type {Loops} from './loops.js';

/** The inputs of a kernel as arrays, by the same names. */
export type Arrays<Inputs> = {[Name in keyof Inputs]: Float32Array};

/**
 * How loops get at the tensors of a backend that keeps them where JavaScript can reach them.
 * The host makes tensors of the shapes and dtypes of `like`, calls `compute` with the arrays
 * of all tensors and with the loops that are the fastest for `view`, and returns the tensors,
 * which compute has filled.
 */
export type Host = <Inputs extends object>(
  backend: unknown,
  inputs: Inputs,
  like: TensorInfo[],
  view: ChannelView,
  compute: (inputs: Arrays<Inputs>, outputs: Float32Array[], loops: Loops) => void,
) => TensorInfo[];

/** The inputs, each mapped to its array. That of the int32 `skipped` is read as well. */
export function arraysOf<Inputs extends object>(
  inputs: Inputs,
  arrayOf: (tensor: TensorInfo) => Float32Array,
): Arrays<Inputs> {
  const entries = Object.entries(inputs) as [string, TensorInfo][];
  return Object.fromEntries(
    entries.map(([name, tensor]) => [name, arrayOf(tensor)]),
  ) as Arrays<Inputs>;
}
