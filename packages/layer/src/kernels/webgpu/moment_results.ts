/** The mean and the variance as results of their own: a program has one output. */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import {run, WORKGROUP_SIZE} from './backend.js';
import type {Tiling} from './tiling.js';

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
