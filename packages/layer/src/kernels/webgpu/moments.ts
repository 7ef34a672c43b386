/**
 * The moments of a batch in two steps: those of each part, then those of the channel.
 *
 * All means are differences to the channel's first value, its origin. So they are exact to
 * float32's last digit of the deviations, not of the values, however large the mean is.
 */
import type {KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

import {run} from './backend.js';
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
          // Not below 0 by rounding. A comparison lets NaN through, which max() need not.
          result[uniforms.channels + thread.channel] =
              select(variance, Value(), variance < Value());
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
