/** The ops of TensorFlow that the kernels are made of. */
import {util, type Tensor, type TensorInfo} from '@tensorflow/tfjs-core';

import type {FusedActivation} from '../kernel.js';
import type {OpAttr, TensorFlowBackend} from './backend.js';
import type {Affine, Statistics} from './norm_strategy.js';
import type {BatchNormView} from './op_view.js';

/** What both ops of batch normalization have in common. */
function batchNormAttrs(
  {binding}: TensorFlowBackend,
  {dataFormat, epsilon}: BatchNormView,
  isTraining: boolean,
): OpAttr[] {
  return [
    {name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT},
    {name: 'U', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT},
    {name: 'epsilon', type: binding.TF_ATTR_FLOAT, value: epsilon},
    {name: 'data_format', type: binding.TF_ATTR_STRING, value: dataFormat},
    {name: 'is_training', type: binding.TF_ATTR_BOOL, value: isTraining},
  ];
}

/**
 * Batch normalization in training mode → y, mean, unbiased variance, and three reserves for
 * the gradient.
 */
export function trainingNorm(
  backend: TensorFlowBackend,
  x: TensorInfo,
  {gamma, beta}: Affine,
  view: BatchNormView,
): Tensor[] {
  const none = emptyTensor(backend);
  return backend.executeMultipleOutputs(
    'FusedBatchNormV3',
    batchNormAttrs(backend, view, true),
    [x, gamma, beta, none, none],
    6,
  );
}

/**
 * What the op wants in place of moving statistics, which it could follow too. One for each
 * backend, as to make it takes longer than to hand it over.
 */
const emptyTensors = new WeakMap<TensorFlowBackend, TensorInfo>();

function emptyTensor(backend: TensorFlowBackend): TensorInfo {
  let empty = emptyTensors.get(backend);
  if (empty === undefined) {
    const dataId = backend.write(new Float32Array(0), [0], 'float32');
    empty = {dataId, shape: [0], dtype: 'float32'};
    emptyTensors.set(backend, empty);
  }
  return empty;
}

/** Batch normalization in inference mode → y. */
export function inferenceNorm(
  backend: TensorFlowBackend,
  x: TensorInfo,
  {gamma, beta, mean, variance}: Affine & Statistics,
  view: BatchNormView,
): Tensor {
  const [y, ...others] = backend.executeMultipleOutputs(
    'FusedBatchNormV3',
    batchNormAttrs(backend, view, false),
    [x, gamma, beta, mean, variance],
    6,
  );
  for (const tensor of others) tensor.dispose();
  return y;
}

/** The gradient of `trainingNorm` → dx, dgamma, dbeta. */
export function trainingNormGrad(
  backend: TensorFlowBackend,
  dy: TensorInfo,
  x: TensorInfo,
  gamma: TensorInfo,
  reserve: TensorInfo[],
  view: BatchNormView,
): Tensor[] {
  const [dx, dgamma, dbeta, ...others] = backend.executeMultipleOutputs(
    'FusedBatchNormGradV3',
    batchNormAttrs(backend, view, true),
    [dy, x, gamma, ...reserve],
    5,
  );
  for (const tensor of others) tensor.dispose();
  return [dx, dgamma, dbeta];
}

/** An op of float32 tensors that has no other attribute than that. */
function floatOp(
  backend: TensorFlowBackend,
  name: string,
  ...inputs: TensorInfo[]
): Tensor {
  const {TF_ATTR_TYPE, TF_FLOAT} = backend.binding;
  const attrs = [{name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT}];
  return backend.executeSingleOutput(name, attrs, inputs);
}

export function add(backend: TensorFlowBackend, a: TensorInfo, b: TensorInfo): Tensor {
  return floatOp(backend, 'AddV2', a, b);
}

export function sub(backend: TensorFlowBackend, a: TensorInfo, b: TensorInfo): Tensor {
  return floatOp(backend, 'Sub', a, b);
}

/** x times a number. */
export function scale(backend: TensorFlowBackend, x: TensorInfo, by: number): Tensor {
  const dataId = backend.write(Float32Array.of(by), [], 'float32');
  try {
    return floatOp(backend, 'Mul', x, {dataId, shape: [], dtype: 'float32'});
  } finally {
    backend.disposeData(dataId);
  }
}

/** x itself if it has the shape already; otherwise a tensor over the same memory. */
export function reshape<T extends TensorInfo>(
  backend: TensorFlowBackend,
  x: T,
  shape: number[],
): T | Tensor {
  if (util.arraysEqual(x.shape, shape)) return x;
  const {TF_ATTR_TYPE, TF_FLOAT, TF_INT32} = backend.binding;
  const dataId = backend.write(Int32Array.from(shape), [shape.length], 'int32');
  const attrs = [
    {name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT},
    {name: 'Tshape', type: TF_ATTR_TYPE, value: TF_INT32},
  ];
  try {
    const size: TensorInfo = {dataId, shape: [shape.length], dtype: 'int32'};
    return backend.executeSingleOutput('Reshape', attrs, [x, size]);
  } finally {
    backend.disposeData(dataId);
  }
}

/** Reshapes what is not needed in any other shape. */
export function takeShape(
  backend: TensorFlowBackend,
  x: Tensor,
  shape: number[],
): Tensor {
  const reshaped = reshape(backend, x, shape);
  return reshaped === x ? x : replace(x, reshaped);
}

const activations = {relu: 'Relu', relu6: 'Relu6'} as const;

/** activation(norm + shortcut); disposes `norm` where the result is another tensor. */
export function activate(
  backend: TensorFlowBackend,
  norm: Tensor,
  shortcut: TensorInfo | undefined,
  activation: FusedActivation,
): Tensor {
  let y = norm;
  if (shortcut !== undefined) y = replace(y, add(backend, y, shortcut));
  if (activation !== 'linear') {
    y = replace(y, floatOp(backend, activations[activation], y));
  }
  return y;
}

/** Frees memory for the ops that follow, long before the tidy would. */
export function replace(old: Tensor, next: Tensor): Tensor {
  old.dispose();
  return next;
}

/** dz = dy·activation′(z), from y = activation(z). */
export function activationGrad(
  backend: TensorFlowBackend,
  dy: TensorInfo,
  y: TensorInfo,
  activation: FusedActivation,
): TensorInfo {
  if (activation === 'linear') return dy;
  return floatOp(backend, `${activations[activation]}Grad`, dy, y);
}
