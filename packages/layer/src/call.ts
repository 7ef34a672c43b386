/** Checks of what a ResBatchNorm is applied to, before a weight or a tensor is made. */
import {Tensor} from '@tensorflow/tfjs-core';
import {SymbolicTensor, type Shape} from '@tensorflow/tfjs-layers';

import {channelAxis} from './kernels/channel_view.js';
import {describe, ValueError} from './errors.js';

/**
 * The shapes of the inputs, one or two, and their number of channels at `axis`.
 *
 * @throws ValueError if they are not one shape, or two that are alike, of rank 2 or more,
 *     which has the axis, which is not the batch's and whose size is known.
 */
export function checkInputShapes(
  layer: string,
  inputShape: Shape | Shape[],
  axis: number,
): {shapes: Shape[]; channels: number} {
  const refuse = (what: string): never => {
    throw new ValueError(
      `ResBatchNorm '${layer}': ${what}. Received: input shape ${describe(inputShape)}`,
    );
  };
  const shapes = (Array.isArray(inputShape[0]) ? inputShape : [inputShape]) as Shape[];
  if (shapes.length > 2) refuse('the inputs must be one tensor, or two: [x, shortcut]');
  const [shape, shortcut = shape] = shapes;
  const rank = shape.length;
  if (rank < 2) refuse('the input must be of rank 2 or more, [batch, …]');
  const isAlike = (size: number | null, i: number) =>
    size === null || shortcut[i] === null || size === shortcut[i];
  if (shortcut.length !== rank || !shape.every(isAlike)) {
    refuse('x and the shortcut must be of the same shape');
  }
  const channel = channelAxis(rank, axis);
  if (channel < 1 || channel >= rank) {
    refuse(
      `axis must be from 1 to ${rank - 1}, or from ${1 - rank} to -1, for an input of rank ` +
        `${rank}, but is ${axis}`,
    );
  }
  const channels = shape[channel];
  if (typeof channels !== 'number') {
    refuse(`the size of axis ${axis}, the number of channels, must be known`);
  }
  return {shapes, channels: channels as number};
}

/**
 * @throws ValueError if the input is not a tensor or symbolic tensor of this copy of
 *     TensorFlow.js, or of a type that can't be normalized.
 */
export function checkInputType(layer: string, inputs: unknown): void {
  for (const input of Array.isArray(inputs) ? inputs : [inputs]) {
    if (input instanceof SymbolicTensor) continue;
    if (!(input instanceof Tensor)) {
      const hint = isSymbolic(input)
        ? ' from another copy of @tensorflow/tfjs-layers: the program loads two, and the ' +
          'layer and the model must come from the same'
        : '';
      throw new ValueError(
        `ResBatchNorm '${layer}': the input must be a tensor or a symbolic tensor. ` +
          `Received: ${describe(input)}${hint}`,
      );
    }
    if (input.dtype === 'string' || input.dtype === 'complex64') {
      throw new ValueError(
        `ResBatchNorm '${layer}': the input must be of a real type. ` +
          `Received: a tensor of dtype ${input.dtype}`,
      );
    }
  }
}

function isSymbolic(input: unknown): boolean {
  return typeof input === 'object' && input !== null && 'sourceLayer' in input;
}
