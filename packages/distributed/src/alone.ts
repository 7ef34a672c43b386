/** The engine of a process that nobody else trains with. */
import {mul, type Tensor} from '@tensorflow/tfjs-core';

import type {Call, Engine} from './engine.js';

export const alone: Engine = {
  name: 'one replica',
  rank: 0,
  size: 1,
  gather: (_call: Call, values: Float64Array) => [values.slice()],
  weightedSums: (_call: Call, tensors: Tensor[], weight: number) =>
    tensors.map(tensor => mul(tensor, weight)),
  broadcast: () => {},
  close: () => {},
};
