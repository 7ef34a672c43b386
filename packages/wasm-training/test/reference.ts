/**
 * Convolutions and poolings of one to three dimensions, and their gradients, by their
 * definitions: one product at a time, in float64. What every backend's kernels are compared
 * with. And random convolutions to compare them on.
 */
import * as tf from '@tensorflow/tfjs-core';

import {Random} from './random';

export type Pad = 'same' | 'valid' | number | [number, number][];
export type Rounding = 'floor' | 'round' | 'ceil';

/** Windows over images [batch, …, channels]; a list has one value an axis of the image. */
export interface WindowCase {
  inputShape: number[];
  windowSizes: number[];
  strides: number[];
  dilations: number[];
  /** A list is for all dimensions of the images. */
  pad: Pad;
  dimRoundingMode?: Rounding;
}

export interface ConvCase extends Omit<WindowCase, 'windowSizes'> {
  /** [window, …, channels, output channels], or channel multiplier if depthwise. */
  filterShape: number[];
  depthwise: boolean;
}

export interface ConvValues {
  x: Float32Array;
  filter: Float32Array;
  dy: Float32Array;
}

interface Axis {
  inSize: number;
  outSize: number;
  /** The inputs that an output's window covers, by tap; null for padding. */
  inputs(out: number): (number | null)[];
}

/** The windows along each axis of the image. */
export function windowAxes(windowCase: WindowCase): Axis[] {
  const {inputShape, windowSizes, pad, dimRoundingMode = 'floor'} = windowCase;
  return windowSizes.map((size, axis) => {
    const inSize = inputShape[axis + 1];
    const [stride, dilation] = [windowCase.strides[axis], windowCase.dilations[axis]];
    const extent = dilation * (size - 1) + 1;
    let [before, after] = [0, 0];
    if (typeof pad === 'number') [before, after] = [pad, pad];
    if (typeof pad === 'object') [before, after] = pad[axis + 1];
    let outSize = Math[dimRoundingMode]((before + inSize + after - extent) / stride) + 1;
    if (pad === 'same') {
      outSize = Math.ceil(inSize / stride);
      const covered = (outSize - 1) * stride + extent;
      before = covered > inSize ? Math.floor((covered - inSize) / 2) : 0;
    }
    const inputs = (out: number) =>
      Array.from({length: size}, (_, tap) => {
        const input = stride * out + dilation * tap - before;
        return input >= 0 && input < inSize ? input : null;
      });
    return {inSize, outSize, inputs};
  });
}

/**
 * Calls `visit` for each window of each image: with the index of its pixel in the output, and
 * with those of its pixels in the input, by tap; null for padding.
 */
function forEachWindow(
  windowCase: WindowCase,
  visit: (outPixel: number, inPixels: (number | null)[]) => void,
): void {
  const axes = windowAxes(windowCase);
  let outPixel = 0;
  const go = (axis: number, pixels: (number | null)[]) => {
    if (axis === axes.length) {
      visit(outPixel++, pixels);
      return;
    }
    const {inSize, outSize, inputs} = axes[axis];
    for (let out = 0; out < outSize; out++) {
      const next = pixels.flatMap(pixel =>
        inputs(out).map(input =>
          pixel === null || input === null ? null : pixel * inSize + input,
        ),
      );
      go(axis + 1, next);
    }
  };
  for (let n = 0; n < windowCase.inputShape[0]; n++) go(0, [n]);
}

/** The shape of the output. A size below 1 says that the window does not fit. */
export function convOutShape(convCase: ConvCase): number[] {
  const {inputShape, filterShape, depthwise} = convCase;
  const [channels, last] = filterShape.slice(-2);
  const sizes = windowAxes(windowsOf(convCase)).map(({outSize}) => outSize);
  return [inputShape[0], ...sizes, depthwise ? channels * last : last];
}

function windowsOf({filterShape, ...convCase}: ConvCase): WindowCase {
  return {...convCase, windowSizes: filterShape.slice(0, -2)};
}

/** Calls `visit` with the indices of the factors of each product, and of the sum it is for. */
function forEachProduct(
  convCase: ConvCase,
  visit: (atX: number, atFilter: number, atY: number) => void,
): void {
  const {filterShape, depthwise} = convCase;
  const [channels, last] = filterShape.slice(-2);
  const outChannels = depthwise ? channels * last : last;
  forEachWindow(windowsOf(convCase), (outPixel, inPixels) => {
    inPixels.forEach((pixel, tap) => {
      if (pixel === null) return;
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < last; k++) {
          const channel = depthwise ? c * last + k : k;
          visit(
            pixel * channels + c,
            (tap * channels + c) * last + k,
            outPixel * outChannels + channel,
          );
        }
      }
    });
  });
}

/** The convolution of x with the filter. */
export function convolve(convCase: ConvCase, {x, filter}: Omit<ConvValues, 'dy'>) {
  const y = new Float64Array(tf.util.sizeFromShape(convOutShape(convCase)));
  forEachProduct(convCase, (atX, atFilter, atY) => {
    y[atY] += x[atX] * filter[atFilter];
  });
  return y;
}

/** dFilter and dx of sum(dy · conv(x, filter)). */
export function convGradients(
  convCase: ConvCase,
  {x, filter, dy}: ConvValues,
): {dFilter: Float64Array; dx: Float64Array} {
  const dFilter = new Float64Array(filter.length);
  const dx = new Float64Array(x.length);
  forEachProduct(convCase, (atX, atFilter, atY) => {
    dFilter[atFilter] += x[atX] * dy[atY];
    dx[atX] += filter[atFilter] * dy[atY];
  });
  return {dFilter, dx};
}

/**
 * The pooling of x, and dx of sum(dy · pooling): the first of the largest values of each
 * window, or the mean of those that are no padding.
 */
export function pool(
  windowCase: WindowCase,
  kind: 'max' | 'avg',
  x: ArrayLike<number>,
  dy?: ArrayLike<number>,
): {y: Float64Array; dx: Float64Array; indices: number[]} {
  const {inputShape} = windowCase;
  const channels = inputShape[inputShape.length - 1];
  const y: number[] = [];
  const indices: number[] = [];
  const dx = new Float64Array(tf.util.sizeFromShape(inputShape));
  forEachWindow(windowCase, (outPixel, inPixels) => {
    const pixels = inPixels.filter(pixel => pixel !== null);
    for (let c = 0; c < channels; c++) {
      const at = outPixel * channels + c;
      const places = pixels.map(pixel => pixel * channels + c);
      const values = places.map(place => x[place]);
      if (kind === 'max') {
        y[at] = Math.max(...values);
        indices[at] = places[values.findIndex(value => Object.is(value, y[at]))];
        dx[indices[at]] += dy?.[at] ?? 0;
      } else {
        y[at] = values.reduce((a, b) => a + b, 0) / places.length;
        for (const place of places) dx[place] += (dy?.[at] ?? 0) / places.length;
      }
    }
  });
  return {y: Float64Array.from(y), dx, indices};
}

/** A small 2-D convolution of any kind whose output is not empty. */
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
    const [, outHeight, outWidth] = convOutShape(convCase);
    if (outHeight > 0 && outWidth > 0) return convCase;
  }
}

function randomPad(random: Random): Pad {
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
    dy: random.values(tf.util.sizeFromShape(convOutShape(convCase))),
  };
}
