/** The checks of what a ResBatchNorm is applied to, before a weight or a tensor is made. */
import {Tensor, util} from '@tensorflow/tfjs-core';
import {SymbolicTensor, type Shape} from '@tensorflow/tfjs-layers';

import type {Layer} from './batch_norms.js';
import {describe, nearest, ValueError} from './errors.js';
import {channelAxis} from './channel_view.js';

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

/** What a ResBatchNorm may be called with, besides its inputs. */
export interface CallKwargs {
  /** Whether this is a training call. Default false: inference mode. */
  training?: boolean;
  /**
   * [batch, …], the shape of x less its last dimension: 0 or false leaves a position out of
   * the moments.
   */
  mask?: Tensor | null;
  /** [batch], the weights of the examples in the moments. */
  batchWeights?: Tensor | null;
}

/** The arguments of a call as tfjs-layers types them. */
export type Kwargs = Parameters<Layer['call']>[1];

/**
 * Checks the arguments of `apply`. Models hand one object of them to all of their layers, so
 * that what a model passes on may be for another layer, unless it looks like a slip.
 *
 * @throws ValueError that names the argument.
 */
export function checkKwargs(layer: Layer, inputs: unknown, kwargs: unknown): void {
  if (kwargs == null) return;
  if (typeof kwargs !== 'object' || Array.isArray(kwargs)) {
    refuse(
      layer,
      'the second argument of apply must be an object: {training: true}.',
      kwargs,
    );
  }
  const {training} = kwargs as CallKwargs;
  if (training !== undefined && typeof training !== 'boolean') {
    refuse(layer, 'training must be true or false.', training);
  }
  // Nothing is made on the way: this runs in each call.
  for (const name in kwargs as object) {
    if (name === 'training' || name === 'mask' || name === 'batchWeights') continue;
    const meant = nearest(name, kwargNames);
    const isByModel = Array.isArray(inputs) && isInGraph(layer);
    if (isByModel && meant === undefined) continue;
    const hint =
      meant === undefined
        ? `Known are ${kwargNames.join(', ')}.`
        : `Did you mean '${meant}'?`;
    const value = (kwargs as Record<string, unknown>)[name];
    refuse(layer, `apply has no argument '${name}'. ${hint}`, value);
  }
}

const kwargNames: readonly string[] = ['training', 'mask', 'batchWeights'];

function refuse(layer: Layer, what: string, received: unknown): never {
  throw new ValueError(
    `ResBatchNorm '${layer.name}': ${what} Received: ${describe(received)}`,
  );
}

export interface CheckedInputs {
  x: Tensor;
  shortcut: Tensor | null;
  /** Of the shape of x less its last dimension. */
  mask: Tensor | null;
  /** [batch]. */
  batchWeights: Tensor | null;
}

interface ToCheck {
  mask?: Tensor | null;
  batchWeights?: Tensor | null;
  virtualBatchSize: number | null;
  synchronized: boolean;
  /** Whether the call came through `apply`, not from a wrapper straight to `call`. */
  isApplied: boolean;
}

/** @throws ValueError that names the layer and what does not fit. */
export function checkInputs(
  layer: Layer,
  inputs: Tensor | Tensor[],
  {mask, batchWeights, virtualBatchSize, synchronized, isApplied}: ToCheck,
): CheckedInputs {
  const [x, shortcut = null] = Array.isArray(inputs) ? inputs : [inputs];
  const [batch] = x.shape;
  if (shortcut !== null && !util.arraysEqual(shortcut.shape, x.shape)) {
    refuse(
      layer,
      `the shortcut must have the shape of the input, ${describe(x.shape)}.`,
      shortcut.shape,
    );
  }
  if (batchWeights != null && !util.arraysEqual(batchWeights.shape, [batch])) {
    refuse(
      layer,
      `batchWeights must be of shape [${batch}], one an example.`,
      batchWeights.shape,
    );
  }
  // tfjs-layers hands one object of arguments to all layers of a model and takes no mask out of
  // it again. What a model or a wrapper calls a layer with may be the mask of another.
  const isByUser = isApplied && !(Array.isArray(inputs) && isInGraph(layer));
  const expected = x.shape.slice(0, -1);
  const fits = mask != null && util.arraysEqual(mask.shape, expected);
  if (isByUser && mask != null && !fits) {
    refuse(
      layer,
      `the mask must have the shape of the input less its last dimension, ${describe(expected)}.`,
      mask.shape,
    );
  }
  const isOwn = fits && (isByUser || (isApplied && isMaskedInGraph(layer)));
  const call = {
    x,
    shortcut,
    mask: isOwn ? mask : null,
    batchWeights: batchWeights ?? null,
  };
  const maskless = synchronized
    ? 'synchronized'
    : virtualBatchSize !== null && 'virtualBatchSize';
  if (maskless) {
    if (call.mask !== null) {
      refuse(layer, `${maskless} can't be used with a mask.`, call.mask.shape);
    }
    if (batchWeights != null) {
      refuse(layer, `${maskless} can't be used with batchWeights.`, batchWeights.shape);
    }
  }
  if (virtualBatchSize !== null) {
    if (batch % virtualBatchSize !== 0) {
      refuse(
        layer,
        `virtualBatchSize, ${virtualBatchSize}, must divide the number of examples in the batch.`,
        batch,
      );
    }
  }
  return call;
}

// Whether a mask that came with a call belongs to the input. tfjs-layers hands one object of
// arguments to all layers of a model and never takes a mask out of it, so a layer may be
// called with a mask that another layer was given, even one of the right shape.

/** Whether a layer is part of a model's graph, by which it may be called. */
function isInGraph(layer: Layer): boolean {
  return layer.inboundNodes.length > 0;
}

/** Whether in the graph a mask reaches the (first) input of the layer. */
export function isMaskedInGraph(layer: Layer): boolean {
  const seen = new Set<object>();
  return layer.inboundNodes.some(({inputTensors}) => carriesMask(inputTensors[0], seen));
}

/** Asks each node once: residual networks have more paths than can be walked. */
function carriesMask(
  {sourceLayer, nodeIndex}: SymbolicTensor,
  seen: Set<object>,
): boolean {
  const {maskZero, returnSequences} = sourceLayer as Layer & {
    maskZero?: boolean;
    returnSequences?: boolean;
  };
  const className = sourceLayer.getClassName();
  if (className === 'Masking' || (className === 'Embedding' && maskZero)) return true;
  // A recurrent layer that returns its last output has used the mask up.
  if (!sourceLayer.supportsMasking || returnSequences === false) return false;
  const node = sourceLayer.inboundNodes[nodeIndex];
  if (node === undefined || seen.has(node)) return false;
  seen.add(node);
  return node.inputTensors.some(tensor => carriesMask(tensor, seen));
}
