/** The backend of tfjs-node, and the ops of TensorFlow that the kernels are made of. */
import {
  util,
  type BackendValues,
  type DataId,
  type Tensor,
  type TensorInfo,
} from '@tensorflow/tfjs-core';

import {channelView, perChannelShape} from '../../channel_view.js';
import type {FusedActivation} from '../kernel.js';

type AttrType =
  | 'TF_ATTR_BOOL'
  | 'TF_ATTR_FLOAT'
  | 'TF_ATTR_INT'
  | 'TF_ATTR_STRING'
  | 'TF_ATTR_TYPE'
  | 'TF_FLOAT'
  | 'TF_INT32';

/** An attribute of an op of TensorFlow. */
export interface OpAttr {
  name: string;
  type: number;
  value: number | boolean | string;
}

/**
 * What of tfjs-node's backend is used; naming it so spares the dependency on its packages. The
 * tensors that it returns belong to the tidy around the call.
 */
export interface TensorFlowBackend {
  isUsingGpuDevice: boolean;
  /** TensorFlow's numbers for types. */
  binding: Record<AttrType, number>;
  executeSingleOutput(op: string, attrs: OpAttr[], inputs: TensorInfo[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attrs: OpAttr[],
    inputs: TensorInfo[],
    numOutputs: number,
  ): Tensor[];
  readSync(dataId: DataId): BackendValues;
  write(values: BackendValues, shape: number[], dtype: TensorInfo['dtype']): DataId;
  disposeData(dataId: DataId): boolean;
  incRef(dataId: DataId): void;
}

/** The values of a float32 tensor. On a GPU this waits for all its work to be done. */
export function read(backend: TensorFlowBackend, {dataId}: TensorInfo): Float32Array {
  return backend.readSync(dataId) as Float32Array;
}

export type Affine = Record<'gamma' | 'beta', TensorInfo>;
export type Statistics = Record<'mean' | 'variance', TensorInfo>;

/** A tensor as TensorFlow's ops of batch normalization take it: of rank 4 or 5. */
interface OpView {
  shape: number[];
  dataFormat: 'NHWC' | 'NCHW' | 'NDHWC' | 'NCDHW';
}

/** A view, and the epsilon that the ops are given with it. */
export interface BatchNormView extends OpView {
  epsilon: number;
}

/** The shape itself where the ops can take it, as a reshape is one more op. */
export function opView(shape: number[], axis: number): OpView {
  const {length: rank} = shape;
  const isLast = axis === rank - 1;
  if (rank === 4 && isLast) return {shape, dataFormat: 'NHWC'};
  if (rank === 4 && axis === 1) return {shape, dataFormat: 'NCHW'};
  if (rank === 5 && isLast) return {shape, dataFormat: 'NDHWC'};
  if (rank === 5 && axis === 1) return {shape, dataFormat: 'NCDHW'};
  const [outer, channels, inner] = channelView(shape, axis);
  return inner === 1
    ? {shape: [outer, 1, 1, channels], dataFormat: 'NHWC'}
    : {shape: [outer, channels, inner, 1], dataFormat: 'NCHW'};
}

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

/** What the op wants in place of moving statistics, which it could follow too. */
function emptyTensor(backend: TensorFlowBackend): TensorInfo {
  return sharedVector(backend, new Float32Array(0));
}

const sharedVectors = new WeakMap<TensorFlowBackend, Map<string, TensorInfo>>();

/**
 * A vector that each backend makes once and keeps, as to make one takes longer than to hand it
 * over. Only for vectors of which there are a few in all.
 */
export function sharedVector(
  backend: TensorFlowBackend,
  values: Float32Array | Int32Array,
): TensorInfo {
  let vectors = sharedVectors.get(backend);
  if (vectors === undefined) sharedVectors.set(backend, (vectors = new Map()));
  const dtype = values instanceof Int32Array ? 'int32' : 'float32';
  const key = `${dtype}: ${values.join()}`;
  let vector = vectors.get(key);
  if (vector === undefined) {
    const shape = [values.length];
    vector = {dataId: backend.write(values, shape, dtype), shape, dtype};
    vectors.set(key, vector);
  }
  return vector;
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

/** x less a value a channel, given as [channels]. */
export function lessPerChannel(
  backend: TensorFlowBackend,
  x: TensorInfo,
  values: TensorInfo,
  axis: number,
): Tensor {
  const isLast = axis === x.shape.length - 1;
  const shape = isLast ? values.shape : perChannelShape(x.shape, axis);
  return sub(backend, x, reshape(backend, values, shape));
}

/** The first value of each channel → [channels]. */
export function firstValues(
  backend: TensorFlowBackend,
  x: TensorInfo,
  axis: number,
): Tensor {
  const {TF_ATTR_TYPE, TF_ATTR_INT, TF_FLOAT, TF_INT32} = backend.binding;
  const rank = x.shape.length;
  const channels = 1 << axis;
  const others = (1 << rank) - 1 - channels;
  const attrs = [
    {name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT},
    {name: 'Index', type: TF_ATTR_TYPE, value: TF_INT32},
    // Of all other dimensions [0, 1), which is then taken away; of the channels' all there is.
    {name: 'end_mask', type: TF_ATTR_INT, value: channels},
    {name: 'shrink_axis_mask', type: TF_ATTR_INT, value: others},
  ];
  const zeros = sharedVector(backend, new Int32Array(rank));
  const ones = sharedVector(backend, new Int32Array(rank).fill(1));
  return backend.executeSingleOutput('StridedSlice', attrs, [x, zeros, ones, ones]);
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
