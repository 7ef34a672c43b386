import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {activationCode} from './activation.js';
import {run} from './backend.js';
import {tiled, tilingCode, type Tiling} from './tiling.js';

type Tensors<Names extends string> = Record<Names, TensorInfo>;

/** x and what belongs to it, with the moments of the batch or with statistics that are given. */
export type NormalizeInputs = Tensors<'x' | 'gamma' | 'beta'> &
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
