/** The activations and their gradients in WGSL. */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import type {FusedActivation} from '../kernel.js';
import {run} from './backend.js';
import {tiled, tilingCode, type Tiling} from './tiling.js';

// NaN compares as false, and so passes.
const functions: Record<FusedActivation, string> = {
  linear: 'z',
  relu: 'select(z, Value(), z < Value())',
  relu6: 'select(select(z, Value(), z < Value()), Value(6.0), z > Value(6.0))',
};

/** `activated(z)`. */
export function activationCode(activation: FusedActivation): string {
  return `fn activated(z: Value) -> Value { return ${functions[activation]}; }`;
}

const gradients: Record<FusedActivation, string> = {
  linear: 'dy[index]',
  relu: 'select(Value(), dy[index], y[index] > Value())',
  relu6: 'select(Value(), dy[index], (y[index] > Value()) & (y[index] < Value(6.0)))',
};

/** `dzAt(index)`, dz = dy·activation′ out of dy and, unless the activation is linear, y. */
export function activationGradCode(activation: FusedActivation): string {
  return /* wgsl */ `
    fn dzAt(index: i32) -> Value {
      return ${gradients[activation]};
    }
  `;
}

/** dy, y → dz. */
export function activationGrad(
  backend: KernelBackend,
  tiling: Tiling,
  inputs: Record<'dy' | 'y', TensorInfo>,
  activation: FusedActivation,
): TensorInfo {
  const {variant, ...rest} = tiled(tiling);
  const program = {
    name: 'activationGrad',
    ...rest,
    variant: [...variant, activation],
    code: () => /* wgsl */ `
      ${tilingCode(tiling)}
      ${activationGradCode(activation)}

      fn main() {
        let thread = thisThread();
        for (var value = thread.first; value < thread.end; value += LANES) {
          let index = indexOf(thread.channel, value);
          result[index] = dzAt(index);
        }
      }
    `,
  };
  return run(backend, program, inputs, inputs.dy.shape);
}
