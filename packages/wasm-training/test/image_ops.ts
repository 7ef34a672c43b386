/**
 * The convolutions and poolings of tfjs: with arguments drawn at random, how to run each, and
 * how to ask native TensorFlow for the same.
 */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';

import {Random} from './random';
import {ConvCase, convOutShape, Rounding, windowAxes, WindowCase} from './reference';

const AXES = {
  conv1d: 1,
  conv2d: 2,
  fusedConv2d: 2,
  depthwiseConv2d: 2,
  fusedDepthwiseConv2d: 2,
  separableConv2d: 2,
  conv2dTranspose: 2,
  conv3d: 3,
  conv3dTranspose: 3,
  maxPool: 2,
  avgPool: 2,
  maxPoolWithArgmax: 2,
  dilatedMaxPool: 2,
  dilatedAvgPool: 2,
  maxPool3d: 3,
  avgPool3d: 3,
};

type OpName = keyof typeof AXES;

const ACTIVATIONS = [
  'linear',
  'relu',
  'relu6',
  'elu',
  'sigmoid',
  'leakyrelu',
  'prelu',
] as const;

type Activation = (typeof ACTIVATIONS)[number];

export interface OpCase extends WindowCase {
  op: OpName;
  outChannels: number;
  activation: Activation;
  hasBias: boolean;
  /** The shape of prelu's slopes: of which dimensions they have one each. */
  slopes: ('height' | 'width' | 'channels')[];
  seed: number;
}

/** Arguments that tfjs accepts; some are for the kernels to refuse. */
export const opCases: fc.Arbitrary<OpCase> = fc
  .record({
    op: fc.constantFrom(...(Object.keys(AXES) as OpName[])),
    batchSize: fc.integer({min: 1, max: 3}),
    sizes: threeOf(fc.integer({min: 1, max: 9})),
    channels: fc.integer({min: 1, max: 5}),
    outChannels: fc.integer({min: 1, max: 4}),
    windows: threeOf(fc.integer({min: 1, max: 4})),
    strides: threeOf(fc.integer({min: 1, max: 4})),
    dilations: fc.oneof(
      {weight: 3, arbitrary: fc.constant([1, 1, 1])},
      threeOf(fc.integer({min: 1, max: 3})),
    ),
    pad: fc.oneof(
      fc.constantFrom('same' as const, 'valid' as const),
      fc.integer({min: 0, max: 2}),
      threeOf(fc.tuple(fc.integer({min: 0, max: 3}), fc.integer({min: 0, max: 3}))),
    ),
    dimRoundingMode: fc.constantFrom(undefined, 'floor', 'round', 'ceil'),
    activation: fc.constantFrom(...ACTIVATIONS),
    hasBias: fc.boolean(),
    slopes: fc.subarray<'height' | 'width' | 'channels'>(['height', 'width', 'channels']),
    seed: fc.nat(1000),
  })
  .map(
    ({
      op,
      batchSize,
      sizes,
      channels,
      windows,
      strides,
      dilations,
      pad,
      ...rest
    }): OpCase => {
      const axes = AXES[op];
      const isDilated = /^(conv|fused|dilated|sep|depth)/.test(op) && !/Tran/.test(op);
      const opCase = {
        ...rest,
        op,
        inputShape: [batchSize, ...sizes.slice(0, axes), channels],
        windowSizes: windows.slice(0, axes),
        strides: strides.slice(0, axes),
        dilations: isDilated ? dilations.slice(0, axes) : [1, 1, 1].slice(0, axes),
        pad: Array.isArray(pad)
          ? ([[0, 0], ...pad.slice(0, axes), [0, 0]] as [number, number][])
          : pad,
        dimRoundingMode: rest.dimRoundingMode as Rounding | undefined,
      };
      return asTfjsTakesIt(opCase);
    },
  );

function threeOf<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return fc.array(arbitrary, {minLength: 3, maxLength: 3});
}

/** Without the combinations of arguments that tfjs-core itself refuses. */
function asTfjsTakesIt(opCase: OpCase): OpCase {
  const {op, pad} = opCase;
  const result = {...opCase};
  // The height of 1 that conv1d adds would get a padding in one number too.
  if (op === 'conv1d' && typeof pad === 'number') {
    result.pad = [
      [0, 0],
      [pad, pad],
      [0, 0],
    ];
  }
  // tfjs-core checks the slopes' shape by a wrong size of the output (src/windows.ts).
  if (typeof pad === 'number') result.slopes = ['channels'];
  if (op.startsWith('dilated')) result.pad = pad === 'same' ? 'same' : 'valid';
  const hasRounding = !/^(conv3d|separable|maxPoolWith)/.test(op);
  if (typeof result.pad === 'string' || !hasRounding) delete result.dimRoundingMode;
  if (result.dilations.some(d => d > 1) && op !== 'depthwiseConv2d') {
    result.strides = result.strides.map(() => 1);
  }
  return result;
}

/** Tensors by their names, and their values. */
export type Values = Record<string, ArrayLike<number>>;
export type Shapes = Record<string, number[]>;

export function isConv({op}: OpCase): boolean {
  return !/pool/i.test(op);
}

function isDepthwise({op}: OpCase): boolean {
  return /depthwise|separable/i.test(op);
}

/** The convolution that the op computes, or whose input's gradient a transposed one is. */
export function convCaseOf(opCase: OpCase): ConvCase {
  const {inputShape, windowSizes, outChannels} = opCase;
  const channels = inputShape[inputShape.length - 1];
  return {
    ...opCase,
    filterShape: [...windowSizes, channels, outChannels],
    depthwise: isDepthwise(opCase),
  };
}

/**
 * True if the windows fit into the padded image, and none of a pooling has only padding.
 */
export function isDefined(opCase: OpCase): boolean {
  const axes = windowAxes(opCase);
  if (axes.some(({outSize}) => outSize < 1)) return false;
  return (
    isConv(opCase) ||
    isPaddedWithZeros(opCase) ||
    axes.every(({outSize, inputs}) =>
      Array.from({length: outSize}, (_, out) => inputs(out)).every(window =>
        window.some(input => input !== null),
      ),
    )
  );
}

/** What tf.pool makes of 'same' and dilations, on every backend, against the definition. */
export function isPaddedWithZeros({op, pad}: OpCase): boolean {
  return op.startsWith('dilated') && pad === 'same';
}

/** The shapes of the op's inputs and of its output y. */
export function shapesOf(opCase: OpCase): Shapes {
  const axes = windowAxes(opCase);
  const {op, inputShape, slopes} = opCase;
  const channels = inputShape[inputShape.length - 1];
  const sizes = axes.map(({outSize}) => outSize);
  if (!isConv(opCase)) return {x: inputShape, y: [inputShape[0], ...sizes, channels]};
  const convCase = convCaseOf(opCase);
  const {filterShape} = convCase;
  const y = convOutShape(convCase);
  const last = y[y.length - 1];
  if (op.endsWith('Transpose')) return {x: y, filter: filterShape, y: inputShape};
  if (op === 'separableConv2d') {
    const pointwise = [1, 1, last, 3];
    return {x: inputShape, filter: filterShape, pointwise, y: [...y.slice(0, -1), 3]};
  }
  const shapes: Shapes = {x: inputShape, filter: filterShape, y};
  if (op.startsWith('fused')) {
    if (opCase.hasBias) shapes.bias = [last];
    if (opCase.activation === 'prelu') {
      const [height, width, channel] = (['height', 'width', 'channels'] as const).map(
        (name, axis) => (slopes.includes(name) ? y[axis + 1] : 1),
      );
      shapes.alpha = [height, width, channel];
    }
  }
  return shapes;
}

/** Random values for the inputs, and for the gradient dy. */
export function randomInputs(opCase: OpCase, shapes: Shapes): Values {
  const random = new Random(opCase.seed);
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const size = tf.util.sizeFromShape(shape);
      // Of two equal maxima, TensorFlow's 3-D pooling gives the gradient to both.
      const isPooled = name === 'x' && !isConv(opCase);
      const values = isPooled ? random.distinctValues(size) : random.values(size);
      return [name === 'y' ? 'dy' : name, values];
    }),
  );
}

/** True if tfjs has a gradient of the op. */
function hasGradient({op, dilations}: OpCase): boolean {
  if (op === 'maxPoolWithArgmax' || op === 'conv3dTranspose') return false;
  return op.startsWith('dilated') || dilations.every(dilation => dilation === 1);
}

/** y = op(inputs), by tfjs. */
function callOp(opCase: OpCase, t: Record<string, tf.Tensor>): tf.Tensor {
  const {op, windowSizes, strides, dilations, pad, dimRoundingMode, inputShape} = opCase;
  const x = t.x as tf.Tensor4D;
  const filter = t.filter as tf.Tensor4D;
  const stride = strides as [number, number];
  const dilation = dilations as [number, number];
  const window = windowSizes as [number, number];
  const padding = pad as 'same';
  const fused = {
    x,
    filter,
    strides: stride,
    pad: padding,
    dilations: dilation,
    dimRoundingMode,
    bias: t.bias as tf.Tensor,
    activation: opCase.activation,
    preluActivationWeights: t.alpha,
  };
  switch (op) {
    case 'conv1d': {
      const [first, last] = [[0, 0], pad];
      const pad1d = typeof pad === 'object' ? [first, first, pad[1], first] : last;
      return tf.conv1d(
        t.x as tf.Tensor3D,
        t.filter as tf.Tensor3D,
        strides[0],
        pad1d as 'same',
        'NWC',
        dilations[0],
        dimRoundingMode,
      );
    }
    case 'conv2d':
      return tf.conv2d(x, filter, stride, padding, 'NHWC', dilation, dimRoundingMode);
    case 'fusedConv2d':
      return tf.fused.conv2d(fused);
    case 'depthwiseConv2d':
      return tf.depthwiseConv2d(
        x,
        filter,
        stride,
        padding,
        'NHWC',
        dilation,
        dimRoundingMode,
      );
    case 'fusedDepthwiseConv2d':
      return tf.fused.depthwiseConv2d(fused);
    case 'separableConv2d':
      return tf.separableConv2d(
        x,
        filter,
        t.pointwise as tf.Tensor4D,
        stride,
        padding,
        dilation,
      );
    case 'conv2dTranspose':
      return tf.conv2dTranspose(
        x,
        filter,
        inputShape as [number, number, number, number],
        stride,
        padding,
        dimRoundingMode,
      );
    case 'conv3d':
      return tf.conv3d(
        t.x as tf.Tensor5D,
        t.filter as tf.Tensor5D,
        strides as [number, number, number],
        padding,
        'NDHWC',
        dilations as [number, number, number],
      );
    case 'conv3dTranspose':
      return tf.conv3dTranspose(
        t.x as tf.Tensor5D,
        t.filter as tf.Tensor5D,
        inputShape as [number, number, number, number, number],
        strides as [number, number, number],
        padding,
      );
    case 'maxPool':
      return tf.maxPool(x, window, stride, padding, dimRoundingMode);
    case 'avgPool':
      return tf.avgPool(x, window, stride, padding, dimRoundingMode);
    case 'maxPoolWithArgmax': {
      const {result, indexes} = tf.maxPoolWithArgmax(x, window, stride, padding);
      return tf.concat([result, tf.cast(indexes, 'float32')], 0);
    }
    case 'dilatedMaxPool':
    case 'dilatedAvgPool': {
      const kind = op === 'dilatedMaxPool' ? 'max' : 'avg';
      return tf.pool(x, window, kind, padding, dilation, stride);
    }
    case 'maxPool3d':
    case 'avgPool3d':
      return tf[op](
        t.x as tf.Tensor5D,
        windowSizes as [number, number, number],
        strides as [number, number, number],
        pad as 'same',
        dimRoundingMode,
      );
  }
}

/** y and, where tfjs has them, the gradients of all inputs, on the current backend. */
export function runOp(
  opCase: OpCase,
  shapes: Shapes,
  values: Values,
  call = callOp,
): Values {
  const result: Values = {};
  tf.tidy(() => {
    const names = Object.keys(shapes).filter(name => name !== 'y');
    const tensorOf = (name: string, shape: number[]) =>
      tf.tensor(values[name] as Float32Array, shape);
    const inputs = names.map(name => tensorOf(name, shapes[name]));
    const f = (...tensors: tf.Tensor[]) =>
      call(opCase, Object.fromEntries(names.map((name, i) => [name, tensors[i]])));
    result.y = f(...inputs).dataSync();
    if (!hasGradient(opCase)) return;
    const gradients = tf.grads(f)(inputs, tensorOf('dy', shapes.y));
    names.forEach((name, i) => {
      result[`d${name}`] = gradients[i].dataSync();
    });
  });
  return result;
}

/** True if native TensorFlow on cpu has the op, and gets it right. */
export function isNative(opCase: OpCase): boolean {
  const {op, pad, windowSizes, strides, dilations} = opCase;
  if (op === 'maxPoolWithArgmax' || (op === 'conv3d' && dilations[0] > 1)) return false;
  const axes = windowAxes(opCase);
  // Its depthwise kernel is for one stride in both directions, and corrupts memory with two.
  if (isDepthwise(opCase) && strides[0] !== strides[1]) return false;
  // oneDNN, which it uses on cpu, leaves part of such an output unwritten.
  if (isConv(opCase) && axes.length > 1) {
    const [height, width] = axes.slice(-2);
    const [down, right] = strides.slice(-2);
    if (down === 1 && right > 1 && height.outSize > 1 && width.outSize === 1)
      return false;
  }
  // Where 'same' needs no padding, its 3-D max pooling starts inside of the image.
  const leavesOut = axes.some(
    ({inSize, outSize}, axis) =>
      (outSize - 1) * strides[axis] + windowSizes[axis] < inSize,
  );
  return !(op === 'maxPool3d' && pad === 'same' && leavesOut);
}

/**
 * The op by native TensorFlow. What it takes no padding in numbers for is done by its other
 * ops: images are padded or cut.
 */
export function runNatively(opCase: OpCase, shapes: Shapes, values: Values): Values {
  const {op, pad, inputShape, windowSizes, strides, dilations} = opCase;
  if (typeof pad === 'string') return runOp(opCase, shapes, values);
  const sides = windowAxes(opCase).map(({inSize, outSize}, axis) => {
    const before = typeof pad === 'number' ? pad : pad[axis + 1][0];
    const extent = dilations[axis] * (windowSizes[axis] - 1) + 1;
    const after = (outSize - 1) * strides[axis] + extent - inSize - before;
    return [before, Math.max(0, after)] as [number, number];
  });
  const paddings = [[0, 0], ...sides, [0, 0]] as [number, number][];
  const padded = inputShape.map(
    (size, axis) => size + paddings[axis][0] + paddings[axis][1],
  );
  const valid = {...opCase, pad: 'valid' as const, dimRoundingMode: undefined};
  return runOp(opCase, shapes, values, (_, tensors) => {
    if (op.endsWith('Transpose')) {
      const image = callOp({...valid, inputShape: padded}, tensors);
      return tf.slice(
        image,
        paddings.map(([before]) => before),
        inputShape,
      );
    }
    const constant = op.startsWith('maxPool') ? -1e6 : 0;
    const y = callOp(valid, {...tensors, x: tf.pad(tensors.x, paddings, constant)});
    if (!op.startsWith('avgPool')) return y;
    // The part of each window that is no padding.
    const ones = tf.pad(tf.onesLike(tensors.x), paddings);
    return tf.div(y, callOp(valid, {x: ones}));
  });
}
