/**
 * The kernels for backends that keep their tensors where JavaScript can reach them, as arrays.
 * What differs between those backends is their host: how it gets at the arrays, and which
 * passes over them it has.
 */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import {channelView, type ChannelView} from '../../channel_view.js';
import {followed, type FusedActivation, type Kernels} from '../kernel.js';
import type {Affine, Bounds, Floats, Passes} from './passes.js';

/** The inputs of a kernel as arrays, by the same names. */
export type Arrays<Inputs> = {[Name in keyof Inputs]: Float32Array};

/**
 * Makes tensors of these shapes, calls `compute` with the arrays of all tensors and with the
 * fastest passes for `view`, and returns the tensors, which compute has filled.
 */
export type Host = <Inputs extends object>(
  backend: unknown,
  inputs: Inputs,
  shapes: number[][],
  view: ChannelView,
  compute: (inputs: Arrays<Inputs>, outputs: Float32Array[], passes: Passes) => void,
) => TensorInfo[];

/** The inputs, each mapped to its array. */
export function arraysOf<Inputs extends object>(
  inputs: Inputs,
  arrayOf: (tensor: TensorInfo) => Float32Array,
): Arrays<Inputs> {
  const arrays = {} as Arrays<Inputs>;
  for (const name in inputs) arrays[name] = arrayOf(inputs[name] as TensorInfo);
  return arrays;
}

export function arrayKernels(host: Host): Kernels {
  return {
    training: training(host),
    trainingGrad: trainingGrad(host),
    inference: inference(host),
    movingStatistics: movingStatistics(host),
  };
}

const bounds: Record<FusedActivation, Bounds> = {
  linear: [-Infinity, Infinity],
  relu: [0, Infinity],
  relu6: [0, 6],
};

/** Normalization as the passes do it: scale = gamma/√(variance + epsilon), offset = beta. */
function normalization(
  {gamma, beta, mean, variance}: Record<'gamma' | 'beta' | 'mean' | 'variance', Floats>,
  epsilon: number,
): Affine {
  const scale = new Float64Array(gamma.length);
  for (let c = 0; c < scale.length; ++c) {
    scale[c] = gamma[c] / Math.sqrt(variance[c] + epsilon);
  }
  return {mean, scale, offset: beta};
}

const training =
  (host: Host): Kernels['training'] =>
  (inputs, {axis, epsilon, activation}, backend) => {
    const {shape} = inputs.x;
    const view = channelView(shape, axis);
    const perChannel = inputs.gamma.shape;
    const shapes = [shape, perChannel, perChannel];
    return host(backend, inputs, shapes, view, (arrays, outputs, passes) => {
      const {x, gamma, beta, shortcut} = arrays;
      const [y, mean, variance] = outputs;
      const moments = passes.moments(x);
      mean.set(moments.mean);
      variance.set(moments.variance);
      const affine = normalization({gamma, beta, ...moments}, epsilon);
      passes.normalize(y, x, affine, shortcut, bounds[activation]);
    });
  };

/** The formulas are those of composed/kernels.ts. */
const trainingGrad =
  (host: Host): Kernels['trainingGrad'] =>
  (inputs, {axis, epsilon, activation, hasShortcut}, backend) => {
    const {shape} = inputs.x;
    const view = channelView(shape, axis);
    const [outer, channels, inner] = view;
    const n = outer * inner;
    const perChannel = inputs.gamma.shape;
    const shapes = [shape, perChannel, perChannel];
    if (hasShortcut) shapes.push(shape);
    return host(backend, inputs, shapes, view, (arrays, outputs, passes) => {
      const {dy, x, gamma, mean, variance, y} = arrays;
      const [dx, dgamma, dbeta, dshortcut] = outputs as [...Float32Array[]];
      const upstream = {dy, y, bounds: bounds[activation]};
      const {sumDz, sumX, sumDzX} = passes.gradSums(upstream, x, mean);
      const affine = {
        mean: new Float64Array(channels),
        dzScale: new Float64Array(channels),
        scale: new Float64Array(channels),
        offset: new Float64Array(channels),
      };
      for (let c = 0; c < channels; ++c) {
        const r = 1 / Math.sqrt(variance[c] + epsilon);
        // The mean came as float32; what it is off by is the mean of x less it.
        const residual = sumX[c] / n;
        const ofGamma = r * (sumDzX[c] - residual * sumDz[c]);
        const dzScale = gamma[c] * r;
        affine.mean[c] = mean[c] + residual;
        affine.dzScale[c] = dzScale;
        affine.scale[c] = (-dzScale * r * ofGamma) / n;
        affine.offset[c] = (-dzScale * sumDz[c]) / n;
        dgamma[c] = ofGamma;
        dbeta[c] = sumDz[c];
      }
      passes.inputGrad(dx, dshortcut, upstream, x, affine);
    });
  };

const inference =
  (host: Host): Kernels['inference'] =>
  (inputs, {axis, epsilon, activation}, backend) => {
    const {shape} = inputs.x;
    const view = channelView(shape, axis);
    return host(backend, inputs, [shape], view, (arrays, [y], passes) => {
      const affine = normalization(arrays, epsilon);
      passes.normalize(y, arrays.x, affine, arrays.shortcut, bounds[activation]);
    });
  };

const areFinite = (values: Float32Array) => values.every(value => Number.isFinite(value));

/** The rule `exponential`, moving·momentum + batch·(1 − momentum). */
const movingStatistics =
  (host: Host): Kernels['movingStatistics'] =>
  (inputs, {rule, momentum, skipNonFinite}, backend) => {
    if (rule !== 'exponential') return null;
    const names = Object.keys(inputs).filter(name => name in followed);
    const shapes = [...names, 'skipped'].map(name => inputs[name].shape);
    const view: ChannelView = [1, inputs.mean.shape[0], 1];
    return host(backend, inputs, shapes, view, (arrays, outputs) => {
      const {mean, variance, skipped} = arrays;
      const isSkipped = skipNonFinite && !(areFinite(mean) && areFinite(variance));
      names.forEach((name, i) => {
        const moving = arrays[name];
        const batch = arrays[followed[name]];
        const next = outputs[i];
        for (let c = 0; c < next.length; ++c) {
          next[c] = isSkipped
            ? moving[c]
            : moving[c] * momentum + batch[c] * (1 - momentum);
        }
      });
      outputs.at(-1)![0] = skipped[0] + (isSkipped ? 1 : 0);
    });
  };
