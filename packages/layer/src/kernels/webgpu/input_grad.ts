import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import type {NormAttrs} from '../kernel.js';
import {activationGradCode} from './activation.js';
import {run} from './backend.js';
import type {GradInputs} from './grad_sums.js';
import {batchStatistics} from './normalize.js';
import {tiled, tilingCode, type Tiling} from './tiling.js';

/**
 * → dx = gamma·r·(dz − dbeta/n − x̂·dgamma/n), as scale·dz + slope·(x − origin) + offset.
 *
 * With y that is eight arrays, and no device has to allow a shader more.
 */
export function inputGrad(
  backend: KernelBackend,
  tiling: Tiling,
  inputs: GradInputs & Record<'gamma' | 'dgamma' | 'dbeta', TensorInfo>,
  {epsilon, activation}: NormAttrs,
): TensorInfo {
  const {variant, ...rest} = tiled(tiling);
  const program = {
    name: 'inputGrad',
    ...rest,
    variant: [...variant, activation],
    numbers: {epsilon},
    code: () => /* wgsl */ `
      ${tilingCode(tiling)}
      ${activationGradCode(activation)}

      fn main() {
        let thread = thisThread();
        let channel = min(thread.channel, uniforms.channels - 1);
        ${batchStatistics}
        let n = f32(uniforms.count);
        let r = inverseSqrt(ownVariance + uniforms.epsilon);
        let scale = gamma[channel] * r;
        let slope = -scale * r * (dgamma[channel] / n);
        let offset = -scale * (dbeta[channel] / n) - slope * meanLessOrigin;
        for (var value = thread.first; value < thread.end; value += LANES) {
          let index = indexOf(channel, value);
          result[index] = scale * dzAt(index) + (slope * (x[index] - origin) + offset);
        }
      }
    `,
  };
  return run(backend, program, inputs, inputs.x.shape);
}
