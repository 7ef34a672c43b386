/** The programs of the gradient: dz, the sums over a channel, and dx. */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import type {FusedActivation, NormAttrs} from '../kernel.js';
import {run} from './backend.js';
import {batchStatistics} from './forward.js';
import {reductionCode, tiled, tileParts, tilingCode, type Tiling} from './tiling.js';

const activationGrads: Record<FusedActivation, string> = {
  linear: 'dy[index]',
  relu: 'select(Value(), dy[index], y[index] > Value())',
  relu6: 'select(Value(), dy[index], (y[index] > Value()) & (y[index] < Value(6.0)))',
};

/** `dzAt(index)`, dz = dy·activation′ out of dy and, unless the activation is linear, y. */
function activationGradCode(activation: FusedActivation): string {
  return /* wgsl */ `
    fn dzAt(index: i32) -> Value {
      return ${activationGrads[activation]};
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

export type GradInputs = Record<'dy' | 'x' | 'moments', TensorInfo> & {y?: TensorInfo};

/**
 * Three sums, each with what rounding took from it: what is summed up has both signs, and may
 * cancel to much less than its parts.
 *
 * Source: Knuth, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B.
 */
const sumsCode = /* wgsl */ `
  struct Sum {
    value: Value,
    error: Value,
  }

  fn plus(a: Sum, b: Sum) -> Sum {
    let value = a.value + b.value;
    let ofB = value - a.value;
    let ofA = value - ofB;
    return Sum(value, a.error + b.error + ((a.value - ofA) + (b.value - ofB)));
  }

  // Σdz·x̂, Σdz and Σx̂.
  struct Sums {
    dzX: Sum,
    dz: Sum,
    x: Sum,
  }

  fn exact(value: Value) -> Sum { return Sum(value, Value()); }
  fn total(sum: Sum) -> Value { return sum.value + sum.error; }

  fn combined(a: Sums, b: Sums) -> Sums {
    return Sums(plus(a.dzX, b.dzX), plus(a.dz, b.dz), plus(a.x, b.x));
  }
`;

/** → [3, parts, channels]: Σdz·x̂, Σdz and Σx̂ of each part. */
function partSums(
  backend: KernelBackend,
  tiling: Tiling,
  inputs: GradInputs,
  {epsilon, activation}: NormAttrs,
): TensorInfo {
  const {variant, ...rest} = tiled(tiling);
  const program = {
    name: 'partGradSums',
    ...rest,
    variant: [...variant, activation],
    numbers: {epsilon},
    code: () => /* wgsl */ `
      ${tilingCode(tiling)}
      ${activationGradCode(activation)}
      ${sumsCode}
      ${reductionCode('Sums', tiling)}

      fn ownSums(thread: Thread) -> Sums {
        let channel = min(thread.channel, uniforms.channels - 1);
        ${batchStatistics}
        let r = inverseSqrt(ownVariance + uniforms.epsilon);
        let offset = -meanLessOrigin * r;
        var sums = Sums();
        for (var value = thread.first; value < thread.end; value += LANES) {
          let index = indexOf(channel, value);
          let normalized = (x[index] - origin) * r + offset;
          let dz = dzAt(index);
          let own = Sums(exact(dz * normalized), exact(dz), exact(normalized));
          sums = combined(sums, own);
        }
        return sums;
      }

      fn main() {
        let thread = thisThread();
        let sums = reduced(ownSums(thread), thread.lane);
        if (isWriter(thread)) {
          let size = i32(numWorkgroups.x) * uniforms.channels;
          let index = i32(workgroupId.x) * uniforms.channels + thread.channel;
          result[index] = total(sums.dzX);
          result[size + index] = total(sums.dz);
          result[2 * size + index] = total(sums.x);
        }
      }
    `,
  };
  const channels = tiling.channels * tiling.components;
  return run(backend, program, inputs, [3, tiling.parts, channels]);
}

/**
 * The gradients that are sums. x̂ has a mean that would be 0 if that of x had not been rounded,
 * and which Σdz·x̂ has as often as there are values.
 */
const sumGrads = {
  dgamma: 'total(sums.dzX) - total(sums.dz) * (total(sums.x) / f32(uniforms.valueCount))',
  dbeta: 'total(sums.dz)',
};

/** The sums of each part → [channels]. */
function totalGrad(
  backend: KernelBackend,
  tiling: Tiling,
  partSums: TensorInfo,
  name: keyof typeof sumGrads,
): TensorInfo {
  const overParts = tileParts(tiling);
  const {counts, ...rest} = tiled(overParts);
  const program = {
    name,
    ...rest,
    counts: {...counts, valueCount: tiling.count},
    code: () => /* wgsl */ `
      ${tilingCode(overParts)}
      ${sumsCode}
      ${reductionCode('Sums', overParts)}

      fn ownSums(thread: Thread) -> Sums {
        let size = uniforms.count * uniforms.channels;
        var sums = Sums();
        for (var part = thread.first; part < thread.end; part += LANES) {
          let index = indexOf(thread.channel, part);
          let ofPart = Sums(
              exact(partSums[index]),
              exact(partSums[size + index]),
              exact(partSums[2 * size + index]));
          sums = combined(sums, ofPart);
        }
        return sums;
      }

      fn main() {
        let thread = thisThread();
        let sums = reduced(ownSums(thread), thread.lane);
        if (isWriter(thread)) {
          result[thread.channel] = ${sumGrads[name]};
        }
      }
    `,
  };
  const channels = tiling.channels * tiling.components;
  return run(backend, program, {partSums}, [channels]);
}

/**
 * dy, x, its moments and, unless the activation is linear, y → dgamma, dbeta: in two steps, as
 * the moments are.
 */
export function gradSums(
  backend: KernelBackend,
  tiling: Tiling,
  inputs: GradInputs,
  attrs: NormAttrs,
): Record<keyof typeof sumGrads, TensorInfo> {
  const ofParts = partSums(backend, tiling, inputs, attrs);
  const dgamma = totalGrad(backend, tiling, ofParts, 'dgamma');
  const dbeta = totalGrad(backend, tiling, ofParts, 'dbeta');
  backend.disposeData(ofParts.dataId);
  return {dgamma, dbeta};
}

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
