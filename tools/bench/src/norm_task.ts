/** The norms side by side on one batch of random values. */
import * as tf from '@tensorflow/tfjs-core';

import {type PreparedTask, tensorContender} from './contender.js';
import {type Norm, norms, withKernelsOf} from './norms.js';
import type {Direction} from './requests.js';

export function prepareNorm(
  shape: readonly number[],
  direction: Direction,
): PreparedTask {
  const [x, dy] = [1, 2].map(seed => tf.randomNormal([...shape], 0, 1, 'float32', seed));
  const channels: [number] = [shape.at(-1)!];
  const [gamma, beta] = [tf.ones<tf.Rank.R1>(channels), tf.zeros<tf.Rank.R1>(channels)];
  const calls: Record<Direction, (norm: Norm) => tf.Tensor[]> = {
    forward: norm => [norm.apply(x, gamma, beta)],
    'forward + backward': norm =>
      tf.grads(norm.apply as (...inputs: tf.Tensor[]) => tf.Tensor)([x, gamma, beta], dy),
  };
  const contenders = Object.entries<Norm>(norms).map(([name, norm]) => [
    name,
    tensorContender(() => withKernelsOf(norm, () => calls[direction](norm))),
  ]);
  return {
    contenders: Object.fromEntries(contenders),
    dispose: () => tf.dispose([x, dy, gamma, beta]),
  };
}
