/**
 * The programs of the forward pass: the moments of a batch, and the normalization.
 *
 * The moments are computed in two steps: those of each part, then those of the channel. All means
 * are differences to the channel's first value, its origin. So they are exact to float32's last
 * digit of the deviations, not of the values, however large the mean is.
 */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import type {FusedActivation, NormAttrs} from '../kernel.js';
import {run, WORKGROUP_SIZE} from './backend.js';
import {reductionCode, tiled, tileParts, tilingCode, type Tiling} from './tiling.js';

/**
 * Moments of values, and how those of two groups give those of both.
 *
 * Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing
 * sample variances", 1979.
 */
const momentsCode = /* wgsl */ `
  struct Moments {
    count: f32,
    // Less the origin.
    mean: Value,
    // Σ(value − mean)².
    squares: Value,
  }

  fn combined(a: Moments, b: Moments) -> Moments {
    let count = a.count + b.count;
    // Of b, and 0 rather than 0/0 if both are empty.
    let weight = b.count / max(count, 1.0);
    let difference = b.mean - a.mean;
    return Moments(
        count,
        a.mean + difference * weight,
        a.squares + b.squares + difference * difference * a.count * weight);
  }
`;

/**
 * x → [2, parts, channels]: of each part the mean less the origin, and Σ(value − mean)².
 *
 * A thread sums up the differences to the first value that it meets, and their squares.
 * Σd² − (Σd)²/n cancels little, as the first value's own deviation is in the result.
 */
function partMoments(backend: KernelBackend, tiling: Tiling, x: TensorInfo): TensorInfo {
  const program = {
    name: 'partMoments',
    ...tiled(tiling),
    code: () => /* wgsl */ `
      ${tilingCode(tiling)}
      ${momentsCode}
      ${reductionCode('Moments', tiling)}

      fn ownMoments(thread: Thread) -> Moments {
        if (thread.first >= thread.end) {
          return Moments();
        }
        let pivot = x[indexOf(thread.channel, thread.first)];
        var count = 0.0;
        var sum = Value();
        var squares = Value();
        for (var value = thread.first; value < thread.end; value += LANES) {
          let d = x[indexOf(thread.channel, value)] - pivot;
          count += 1.0;
          sum += d;
          squares += d * d;
        }
        let origin = x[indexOf(thread.channel, 0)];
        let mean = sum / count;
        return Moments(count, (pivot - origin) + mean, squares - sum * mean);
      }

      fn main() {
        let thread = thisThread();
        let moments = reduced(ownMoments(thread), thread.lane);
        if (isWriter(thread)) {
          let parts = i32(numWorkgroups.x);
          let part = i32(workgroupId.x);
          result[part * uniforms.channels + thread.channel] = moments.mean;
          result[(parts + part) * uniforms.channels + thread.channel] = moments.squares;
        }
      }
    `,
  };
  const channels = tiling.channels * tiling.components;
  return run(backend, program, {x}, [2, tiling.parts, channels]);
}

/** Those of each part → [2, channels]: the mean less the origin, and the biased variance. */
function totalMoments(
  backend: KernelBackend,
  tiling: Tiling,
  partMoments: TensorInfo,
): TensorInfo {
  const overParts = tileParts(tiling);
  const {counts, ...rest} = tiled(overParts);
  const program = {
    name: 'totalMoments',
    ...rest,
    counts: {...counts, valueCount: tiling.count, valuesPerPart: tiling.partSize},
    code: () => /* wgsl */ `
      ${tilingCode(overParts)}
      ${momentsCode}
      ${reductionCode('Moments', overParts)}

      fn ownMoments(thread: Thread) -> Moments {
        var moments = Moments();
        for (var part = thread.first; part < thread.end; part += LANES) {
          let left = uniforms.valueCount - part * uniforms.valuesPerPart;
          let index = indexOf(thread.channel, part);
          let ofPart = Moments(
              f32(min(left, uniforms.valuesPerPart)),
              partMoments[index],
              partMoments[uniforms.count * uniforms.channels + index]);
          moments = combined(moments, ofPart);
        }
        return moments;
      }

      fn main() {
        let thread = thisThread();
        let moments = reduced(ownMoments(thread), thread.lane);
        if (isWriter(thread)) {
          let variance = moments.squares / moments.count;
          result[thread.channel] = moments.mean;
          // Not below 0 by rounding.
          result[uniforms.channels + thread.channel] = notNegative(variance);
        }
      }
    `,
  };
  const channels = tiling.channels * tiling.components;
  return run(backend, program, {partMoments}, [2, channels]);
}

/** x → [2, channels]: of each channel the mean less its first value, and the variance. */
export function moments(
  backend: KernelBackend,
  tiling: Tiling,
  x: TensorInfo,
): TensorInfo {
  const ofParts = partMoments(backend, tiling, x);
  const total = totalMoments(backend, tiling, ofParts);
  backend.disposeData(ofParts.dataId);
  return total;
}

/** The mean and the variance as results of their own, as a program has one output. */
export function mean(
  backend: KernelBackend,
  tiling: Tiling,
  x: TensorInfo,
  moments: TensorInfo,
): TensorInfo {
  const value = 'x[channel * uniforms.inner] + moments[channel]';
  return ofEachChannel(backend, 'mean', tiling, {x, moments}, value);
}

export function variance(
  backend: KernelBackend,
  tiling: Tiling,
  moments: TensorInfo,
): TensorInfo {
  const value = 'moments[uniforms.channels + channel]';
  return ofEachChannel(backend, 'variance', tiling, {moments}, value);
}

/** → [channels], by an expression of `channel`. */
function ofEachChannel(
  backend: KernelBackend,
  name: string,
  {channels, inner, components}: Tiling,
  inputs: Record<string, TensorInfo>,
  value: string,
): TensorInfo {
  const program = {
    name,
    variant: [],
    components,
    workgroups: [Math.ceil(channels / WORKGROUP_SIZE), 1] as [number, number],
    counts: {channels, inner},
    code: () => /* wgsl */ `
      fn main() {
        let channel = i32(workgroupId.x) * ${WORKGROUP_SIZE} + i32(localIndex);
        if (channel < uniforms.channels) {
          result[channel] = ${value};
        }
      }
    `,
  };
  return run(backend, program, inputs, [channels * components]);
}

type Tensors<Names extends string> = Record<Names, TensorInfo>;

/** x and what belongs to it, with the moments of the batch or with statistics that are given. */
type NormalizeInputs = Tensors<'x' | 'gamma' | 'beta'> &
  (Tensors<'moments'> | Tensors<'mean' | 'variance'>) & {shortcut?: TensorInfo};

/** A channel's mean in two parts, of which the first is a value near it, and its variance. */
const givenStatistics = /* wgsl */ `
  let origin = mean[channel];
  let meanLessOrigin = 0.0;
  let ownVariance = variance[channel];
`;
export const batchStatistics = /* wgsl */ `
  let origin = x[indexOf(channel, 0)];
  let meanLessOrigin = moments[channel];
  let ownVariance = moments[uniforms.channels + channel];
`;

/** NaN passes, as in the backend's own. */
const activations: Record<FusedActivation, string> = {
  linear: 'z',
  relu: 'notNegative(z)',
  relu6: 'select(clamp(z, Value(), Value(6.0)), z, isNotANumber(z))',
};

/** `activated(z)`. */
function activationCode(activation: FusedActivation): string {
  return `fn activated(z: Value) -> Value { return ${activations[activation]}; }`;
}

/**
 * → y = activation(gamma·(x − mean)/√(variance + epsilon) + beta + shortcut), as
 * scale·(x − origin) + offset: what x and the mean have in common is off before anything is
 * rounded.
 */
export function normalize(
  backend: KernelBackend,
  tiling: Tiling,
  {shortcut, ...inputs}: NormalizeInputs,
  {epsilon, activation}: NormAttrs,
): TensorInfo {
  const {variant, ...rest} = tiled(tiling);
  const ofBatch = 'moments' in inputs;
  const program = {
    name: 'normalize',
    ...rest,
    variant: [...variant, ofBatch, activation, shortcut !== undefined],
    numbers: {epsilon},
    code: () => /* wgsl */ `
      ${tilingCode(tiling)}
      ${activationCode(activation)}

      fn main() {
        let thread = thisThread();
        let channel = min(thread.channel, uniforms.channels - 1);
        ${ofBatch ? batchStatistics : givenStatistics}
        let scale = gamma[channel] * inverseSqrt(ownVariance + uniforms.epsilon);
        let offset = beta[channel] - meanLessOrigin * scale;
        for (var value = thread.first; value < thread.end; value += LANES) {
          let index = indexOf(channel, value);
          let norm = (x[index] - origin) * scale + offset;
          result[index] = activated(norm ${shortcut ? '+ shortcut[index]' : ''});
        }
      }
    `,
  };
  const all = shortcut ? {...inputs, shortcut} : inputs;
  return run(backend, program, all, inputs.x.shape);
}
