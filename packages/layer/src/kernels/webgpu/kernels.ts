/** The kernels of the `webgpu` backend: compute shaders. */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import {followed, type Kernels, type MovingStatisticsAttrs} from '../kernel.js';
import {run, share, WORKGROUP_SIZE} from './backend.js';
import {activationGrad, gradSums, inputGrad, type GradInputs} from './backward.js';
import {mean, moments as momentsOf, normalize, variance} from './forward.js';
import {tile} from './tiling.js';

/** The reserve is the moments, which are more exact than mean and variance are. */
const training: Kernels['training'] = (inputs, attrs, backend) => {
  const {x} = inputs;
  const tilings = tile(backend, inputs, attrs.axis);
  if (tilings === null) return null;
  const moments = momentsOf(backend, tilings.reduction, x);
  return [
    normalize(backend, tilings.each, {...inputs, moments}, attrs),
    mean(backend, tilings.each, x, moments),
    variance(backend, tilings.each, moments),
    moments,
  ];
};

/** The formulas are those of composed/kernels.ts. */
const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, backend) => {
  const {dy, x, gamma, y, reserve0: moments} = inputs;
  const tilings = tile(backend, inputs, attrs.axis);
  // After a forward pass by the composed kernel there are no moments.
  if (tilings === null || moments === undefined) return null;
  const gradient = (inputs: GradInputs, gradAttrs: typeof attrs) => {
    const sums = gradSums(backend, tilings.reduction, inputs, gradAttrs);
    const dx = inputGrad(backend, tilings.each, {...inputs, gamma, ...sums}, gradAttrs);
    return [dx, sums.dgamma, sums.dbeta];
  };
  if (y === undefined) return gradient({dy, x, moments}, attrs);
  if (!attrs.hasShortcut) return gradient({dy, x, moments, y}, attrs);
  // As dz is wanted, all else starts from it, which reads less than from dy and y.
  const dz = activationGrad(backend, tilings.each, {dy, y}, attrs.activation);
  return [...gradient({dy: dz, x, moments}, {...attrs, activation: 'linear'}), dz];
};

const inference: Kernels['inference'] = (inputs, attrs, backend) => {
  const tilings = tile(backend, inputs, attrs.axis);
  if (tilings === null) return null;
  return [normalize(backend, tilings.each, inputs, attrs)];
};

/**
 * The rule 'exponential', one program for each output. Each of them finds out for itself
 * whether the batch is finite: reading two values a channel once more is less work than
 * starting another program is.
 */
const movingStatistics: Kernels['movingStatistics'] = (inputs, attrs, backend) => {
  if (attrs.rule !== 'exponential') return null;
  const {mean, variance, skipped} = inputs;
  const batch = {mean, variance};
  // In the order of the inputs.
  const names = Object.keys(inputs).filter(name => name in followed);
  return [
    ...names.map(name => follow(backend, inputs[name], batch, followed[name], attrs)),
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
          result[0] = skipped[0] + select(1.0, 0.0, counts);
        }
      }
    `,
  };
  return run(backend, countProgram, {skipped, ...batch}, skipped.shape);
}

export const webgpuKernels: Kernels = {
  training,
  trainingGrad,
  inference,
  movingStatistics,
};
