/**
 * The gradients of a convolution by their definition, one product at a time in float64: what
 * every backend's kernels are compared with. And random convolutions to compare them on.
 */
import * as tf from '@tensorflow/tfjs-core';

import {Random} from './random';

type Shape4D = [number, number, number, number];

export interface ConvCase {
  inputShape: Shape4D;
  filterShape: Shape4D;
  strides: [number, number];
  dilations: [number, number];
  pad: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  depthwise: boolean;
}

export interface ConvValues {
  x: Float32Array;
  filter: Float32Array;
  dy: Float32Array;
}

export function convInfo(convCase: ConvCase): tf.backend_util.Conv2DInfo {
  const {inputShape, filterShape, strides, dilations, pad, depthwise} = convCase;
  const rounding = typeof pad === 'string' ? undefined : 'floor';
  return tf.backend_util.computeConv2DInfo(
    inputShape,
    filterShape,
    strides,
    dilations,
    pad,
    rounding,
    depthwise,
  );
}

/** dFilter and dx of sum(dy · conv(x, filter)). */
export function convGradients(
  convCase: ConvCase,
  {x, filter, dy}: ConvValues,
): {dFilter: Float64Array; dx: Float64Array} {
  const info = convInfo(convCase);
  const [filterHeight, filterWidth, inChannels, lastFilterSize] = convCase.filterShape;
  const {batchSize, outHeight, outWidth, outChannels, inHeight, inWidth} = info;
  const dFilter = new Float64Array(filter.length);
  const dx = new Float64Array(x.length);
  for (let n = 0; n < batchSize; n++) {
    for (let h = 0; h < outHeight; h++) {
      for (let w = 0; w < outWidth; w++) {
        for (let i = 0; i < filterHeight; i++) {
          for (let j = 0; j < filterWidth; j++) {
            const row =
              h * info.strideHeight + i * info.dilationHeight - info.padInfo.top;
            const column =
              w * info.strideWidth + j * info.dilationWidth - info.padInfo.left;
            if (row < 0 || row >= inHeight || column < 0 || column >= inWidth) continue;
            for (let c = 0; c < inChannels; c++) {
              for (let k = 0; k < lastFilterSize; k++) {
                const channel = convCase.depthwise ? c * lastFilterSize + k : k;
                const atX = ((n * inHeight + row) * inWidth + column) * inChannels + c;
                const atY = ((n * outHeight + h) * outWidth + w) * outChannels + channel;
                const atFilter =
                  ((i * filterWidth + j) * inChannels + c) * lastFilterSize + k;
                dFilter[atFilter] += x[atX] * dy[atY];
                dx[atX] += filter[atFilter] * dy[atY];
              }
            }
          }
        }
      }
    }
  }
  return {dFilter, dx};
}

/** A small convolution of any kind whose output is not empty. */
export function randomConvCase(
  random: Random,
  {depthwise, dilated}: {depthwise: boolean; dilated: boolean},
): ConvCase {
  for (;;) {
    const convCase: ConvCase = {
      inputShape: [
        random.integer(1, 4),
        random.integer(1, 13),
        random.integer(1, 13),
        random.choice([1, 2, 3, 4, 5, 8]),
      ],
      filterShape: [random.integer(1, 5), random.integer(1, 5), 0, random.integer(1, 6)],
      strides: [random.integer(1, 4), random.integer(1, 4)],
      dilations: dilated ? [random.integer(1, 3), random.integer(1, 3)] : [1, 1],
      pad: randomPad(random),
      depthwise,
    };
    convCase.filterShape[2] = convCase.inputShape[3];
    const {outHeight, outWidth} = convInfo(convCase);
    if (outHeight > 0 && outWidth > 0) return convCase;
  }
}

function randomPad(random: Random): ConvCase['pad'] {
  const side = () => random.integer(0, 3);
  const kind = random.choice(['same', 'valid', 'number', 'explicit'] as const);
  if (kind === 'number') return side();
  if (kind === 'explicit')
    return [
      [0, 0],
      [side(), side()],
      [side(), side()],
      [0, 0],
    ];
  return kind;
}

export function randomConvValues(random: Random, convCase: ConvCase): ConvValues {
  return {
    x: random.values(tf.util.sizeFromShape(convCase.inputShape)),
    filter: random.values(tf.util.sizeFromShape(convCase.filterShape)),
    dy: random.values(tf.util.sizeFromShape(convInfo(convCase).outShape)),
  };
}
