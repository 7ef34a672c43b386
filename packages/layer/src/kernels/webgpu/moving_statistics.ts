import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import type {Kernels, MovingStatisticsAttrs} from '../kernel.js';
import {run, share, WORKGROUP_SIZE} from './backend.js';

/**
 * The rule 'exponential', one program for each output. Each of them finds out for itself
 * whether the batch is finite: reading two values a channel once more is less work than
 * starting another program is.
 */
export const movingStatistics: Kernels['movingStatistics'] = (inputs, attrs, backend) => {
  const {moving_mean, moving_variance, mean, variance, skipped} = inputs;
  if (attrs.rule !== 'exponential') return null;
  const batch = {mean, variance};
  const statistics: Record<string, TensorInfo> = {
    moving_mean: follow(backend, moving_mean, batch, 'mean', attrs),
    moving_variance: follow(backend, moving_variance, batch, 'variance', attrs),
  };
  // In the order of the inputs.
  const names = Object.keys(inputs).filter(name => name in statistics);
  return [
    ...names.map(name => statistics[name]),
    attrs.skipNonFinite ? count(backend, skipped, batch) : share(backend, skipped),
  ];
};

type BatchStatistics = Record<'mean' | 'variance', TensorInfo>;

/** One workgroup, as all of its threads have to know of all channels. */
const program = (name: string, variant: unknown[], channels: number) => ({
  name,
  variant,
  workgroups: [1, 1] as [number, number],
  components: 1 as const,
  counts: {channels},
});

/** `batchIsFinite()`. By the bits, as compilers may take it that every number is finite. */
const finiteCode = /* wgsl */ `
  var<workgroup> nonFinite: atomic<u32>;

  fn isNonFinite(value: f32) -> bool {
    let exponent = 0x7f800000u;
    return (bitcast<u32>(value) & exponent) == exponent;
  }

  fn batchIsFinite() -> bool {
    for (var c = i32(localIndex); c < uniforms.channels; c += ${WORKGROUP_SIZE}) {
      if (isNonFinite(mean[c]) || isNonFinite(variance[c])) {
        atomicStore(&nonFinite, 1u);
      }
    }
    workgroupBarrier();
    return atomicLoad(&nonFinite) == 0u;
  }
`;

/** moving·momentum + batch·(1 − momentum), or moving if the batch is to be skipped. */
function follow(
  backend: KernelBackend,
  moving: TensorInfo,
  batch: BatchStatistics,
  name: keyof BatchStatistics,
  {momentum, skipNonFinite}: MovingStatisticsAttrs,
): TensorInfo {
  const channels = moving.shape[0];
  const followProgram = {
    ...program('follow', [name, skipNonFinite], channels),
    numbers: {momentum, rest: 1 - momentum},
    code: () => /* wgsl */ `
      ${skipNonFinite ? finiteCode : ''}

      fn main() {
        let counts = ${skipNonFinite ? 'batchIsFinite()' : 'true'};
        for (var c = i32(localIndex); c < uniforms.channels; c += ${WORKGROUP_SIZE}) {
          let next = moving[c] * uniforms.momentum + ${name}[c] * uniforms.rest;
          result[c] = select(moving[c], next, counts);
        }
      }
    `,
  };
  // WebGPU refuses an input that the shader does not read.
  const read = skipNonFinite ? batch : {[name]: batch[name]};
  return run(backend, followProgram, {moving, ...read}, moving.shape);
}

/** skipped, and one more if the batch is not finite. */
function count(
  backend: KernelBackend,
  skipped: TensorInfo,
  batch: BatchStatistics,
): TensorInfo {
  const countProgram = {
    ...program('countSkipped', [], batch.mean.shape[0]),
    code: () => /* wgsl */ `
      ${finiteCode}

      fn main() {
        let counts = batchIsFinite();
        if (localIndex == 0u) {
          result[0] = skipped[0] + select(1, 0, counts);
        }
      }
    `,
  };
  return run(backend, countProgram, {skipped, ...batch}, skipped.shape, 'int32');
}
