import {Tensor, util} from '@tensorflow/tfjs-core';

import type {BatchNormOptions} from './batch_norm_training.js';
import {describe, ValueError} from '../errors.js';
import {fusedActivations, isFusedActivation} from '../kernels/kernel.js';

/**
 * Throws a ValueError unless the axis is one of x's, all that is per channel has a value a
 * channel, and the shortcut and the activation can be used.
 */
export function checkNormInputs(
  op: string,
  x: Tensor,
  perChannel: Record<string, Tensor | null>,
  {axis = -1, epsilon = 1e-3, shortcut, activation = 'linear'}: BatchNormOptions,
): void {
  const refuse = (name: string, expected: string, received: unknown): never => {
    throw new ValueError(
      `${op}: ${name} must be ${expected}. Received: ${describe(received)}`,
    );
  };
  if (!(x instanceof Tensor)) refuse('x', 'a tensor', x);
  if (x.rank < 2) refuse('x', 'of rank 2 or more', x.shape);
  if (x.dtype !== 'float32') refuse('x', 'float32', x.dtype);
  if (!Number.isInteger(axis) || axis < -x.rank || axis >= x.rank) {
    refuse('axis', `an integer from ${-x.rank} to ${x.rank - 1}`, axis);
  }
  if (!(epsilon > 0)) refuse('epsilon', 'a number greater than 0', epsilon);
  if (shortcut != null) {
    if (!util.arraysEqual(shortcut.shape, x.shape)) {
      refuse('shortcut', `of the shape of x, ${describe(x.shape)}`, shortcut.shape);
    }
    if (shortcut.dtype !== 'float32') refuse('shortcut', 'float32', shortcut.dtype);
  }
  if (!isFusedActivation(activation)) {
    refuse(
      'activation',
      `one of ${fusedActivations.map(describe).join(', ')}`,
      activation,
    );
  }
  const channels = x.shape.at(axis)!;
  for (const [name, tensor] of Object.entries(perChannel)) {
    if (tensor === null) continue;
    if (tensor.rank !== 1 || tensor.size !== channels) {
      refuse(name, `of shape [${channels}], one value a channel`, tensor.shape);
    }
    if (tensor.dtype !== 'float32') refuse(name, 'float32', tensor.dtype);
  }
}
