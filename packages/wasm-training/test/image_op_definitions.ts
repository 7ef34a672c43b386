/** What the ops of image_ops.ts give by their definitions (reference.ts). */
import * as tf from '@tensorflow/tfjs-core';

import {convCaseOf, isConv, isPaddedWithZeros, OpCase, Shapes, Values} from './image_ops';
import {ConvCase, convGradients, convolve, convOutShape, pool} from './reference';

/** The op and its gradients by their definitions; null where tfjs has another one. */
export function define(opCase: OpCase, shapes: Shapes, values: Values): Values | null {
  const {op} = opCase;
  if (isPaddedWithZeros(opCase)) return null;
  const {dy, filter} = values as Record<string, Float32Array>;
  const x = values.x as Float32Array;
  if (!isConv(opCase)) {
    const result = pool(opCase, /max/i.test(op) ? 'max' : 'avg', x, dy);
    if (op !== 'maxPoolWithArgmax') return {y: result.y, dx: result.dx};
    const imageSize = tf.util.sizeFromShape(shapes.x.slice(1));
    return {y: [...result.y, ...result.indices.map(index => index % imageSize)]};
  }
  const convCase = convCaseOf(opCase);
  if (op.endsWith('Transpose')) {
    const y = convGradients(convCase, {x: dy, filter, dy: x});
    const dx = convolve(convCase, {x: dy, filter});
    return {y: y.dx, dx, dfilter: y.dFilter};
  }
  if (op === 'separableConv2d') return separable(convCase, shapes, values);
  const z = convolve(convCase, {x, filter});
  const fused = op.startsWith('fused')
    ? epilogue(opCase, shapes, values, z)
    : {y: z, dz: dy};
  const {dFilter, dx} = convGradients(convCase, {
    x,
    filter,
    dy: fused.dz as Float32Array,
  });
  return {...fused, dx, dfilter: dFilter};
}

function separable(convCase: ConvCase, shapes: Shapes, values: Values): Values {
  const {x, filter, pointwise, dy} = values as Record<string, Float32Array>;
  const depthwise = convolve(convCase, {x, filter}) as unknown as Float32Array;
  const mixing: ConvCase = {
    inputShape: convOutShape(convCase),
    filterShape: shapes.pointwise,
    strides: [1, 1],
    dilations: [1, 1],
    pad: 'valid',
    depthwise: false,
  };
  const mixed = convGradients(mixing, {x: depthwise, filter: pointwise, dy});
  const {dFilter, dx} = convGradients(convCase, {
    x,
    filter,
    dy: mixed.dx as unknown as Float32Array,
  });
  const y = convolve(mixing, {x: depthwise, filter: pointwise});
  return {y, dx, dfilter: dFilter, dpointwise: mixed.dFilter};
}

/** y = activation(z + bias), and the gradients of z, bias and slopes. */
function epilogue(
  {activation}: OpCase,
  shapes: Shapes,
  {dy, bias, alpha}: Values,
  z: Float64Array,
) {
  const [, height, width, channels] = shapes.y;
  const y = new Float64Array(z.length);
  const dz = new Float64Array(z.length);
  const dbias = new Float64Array(channels);
  const dalpha = new Float64Array(alpha?.length ?? 0);
  z.forEach((product, i) => {
    const channel = i % channels;
    const value = product + (bias?.[channel] ?? 0);
    const row = Math.floor(i / (width * channels)) % height;
    const column = Math.floor(i / channels) % width;
    const [rows, columns, slopes] = shapes.alpha ?? [1, 1, 1];
    const at =
      ((row % rows) * columns + (column % columns)) * slopes + (channel % slopes);
    const slope = activation === 'prelu' ? alpha[at] : 0.2;
    const isPositive = value > 0;
    const [result, derivative] = {
      linear: [value, 1],
      relu: [Math.max(0, value), isPositive ? 1 : 0],
      relu6: [Math.min(6, Math.max(0, value)), isPositive && value < 6 ? 1 : 0],
      elu: isPositive ? [value, 1] : [Math.expm1(value), Math.exp(value)],
      sigmoid: [sigmoid(value), sigmoid(value) * (1 - sigmoid(value))],
      leakyrelu: isPositive ? [value, 1] : [slope * value, slope],
      prelu: isPositive ? [value, 1] : [slope * value, slope],
    }[activation];
    y[i] = result;
    dz[i] = dy[i] * derivative;
    dbias[channel] += dz[i];
    if (activation === 'prelu' && !isPositive) dalpha[at] += dy[i] * value;
  });
  return {y, dz, dbias, dalpha};
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
