/**
 * Tensors in packed textures as batch normalization sees them, and the passes over their texels.
 *
 * A texel of a packed texture has four lanes, values of two rows and two columns of a matrix:
 *
 *     x y      The matrix is the last two dimensions of the shape; all dimensions before them
 *     z w      make a list of matrices. Lanes beyond an odd end of the matrix hold anything.
 *
 * The texels of all matrices, row by row, are one list, which the texture breaks into rows of
 * its own. The channels are columns of the matrices (as in NHWC), or rows (as in NCW), or
 * whole matrices (as in NCHW). Either way the list of texels is [outer, units, inner], just as
 * the values are [outer, channels, inner] (channel_view.ts): a unit is a pair of adjacent
 * columns or rows, or one matrix.
 *
 * What is per channel comes in small textures of its own, with one texel for each pair of
 * adjacent channels, in a row.
 */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import {channelView} from '../../channel_view.js';
import type {Runner} from './backend.js';

export interface TexelView {
  /** The shape for the shaders: the same texels, in a rank that the backend can sample. */
  shape: number[];
  outer: number;
  units: number;
  inner: number;
  /** outer·units·inner. */
  texels: number;
  channels: number;
  /** How many values a channel has. */
  count: number;
  /** Rows and columns of the matrix of texels that a unit is; 2 where it is just one texel. */
  unitShape: [rows: number, columns: number];
  lanes: Lanes;
}

/** GLSL for which lanes of a texel belong to which channel. */
interface Lanes {
  /** The index of the pair of channels that the unit is in. */
  pairOf(unit: string): string;
  /** Values for the lanes: from a vec2 with one for each of the pair of channels. */
  spread(pair: string, unit: string): string;
  /** A vec2 with the sum of the lanes for each of the pair of channels. */
  sum(lanes: string): string;
  /** A vec2 of lanes, one for each of the pair of channels, that are not beyond the end. */
  first(lanes: string): string;
  /** Whether all lanes are of one channel. Its sum and first lane are then in the vec2 twice. */
  areOneChannel: boolean;
}

const columnLanes: Lanes = {
  pairOf: unit => unit,
  spread: pair => `${pair}.xyxy`,
  sum: lanes => `(${lanes}.xy + ${lanes}.zw)`,
  first: lanes => `${lanes}.xy`,
  areOneChannel: false,
};

const rowLanes: Lanes = {
  pairOf: unit => unit,
  spread: pair => `${pair}.xxyy`,
  sum: lanes => `(${lanes}.xz + ${lanes}.yw)`,
  first: lanes => `${lanes}.xz`,
  areOneChannel: false,
};

const matrixLanes: Lanes = {
  pairOf: unit => `(${unit} / 2)`,
  spread: (pair, unit) => `vec4(${unit} % 2 == 0 ? ${pair}.x : ${pair}.y)`,
  sum: lanes => `vec2(${lanes}.x + ${lanes}.y + ${lanes}.z + ${lanes}.w)`,
  first: lanes => `${lanes}.xx`,
  areOneChannel: true,
};

export function texelView(shape: number[], axis: number): TexelView {
  const [rows, columns] = shape.slice(-2);
  const matrices = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  const [texelRows, texelColumns] = [rows, columns].map(size => Math.ceil(size / 2));
  const [outer, channels, inner] = channelView(shape, axis);
  const common = {
    shape: shape.length <= 4 ? shape : [matrices, rows, columns],
    texels: matrices * texelRows * texelColumns,
    channels,
    count: outer * inner,
  };
  switch (shape.length - axis) {
    case 1:
      return {
        ...common,
        outer: matrices * texelRows,
        units: texelColumns,
        inner: 1,
        unitShape: [rows, 2],
        lanes: columnLanes,
      };
    case 2:
      return {
        ...common,
        outer: matrices,
        units: texelRows,
        inner: texelColumns,
        unitShape: [2, columns],
        lanes: rowLanes,
      };
    default:
      return {
        ...common,
        outer,
        units: channels,
        inner: (inner / (rows * columns)) * texelRows * texelColumns,
        unitShape: [rows, columns],
        lanes: matrixLanes,
      };
  }
}

/** What a shader over the texels of a view reads, as vec4s of lanes. */
export interface LaneInputs {
  /** Tensors of the view's shape. Of the tensor `x`, the code sees the vec4 `xLanes`. */
  values: Record<string, TensorInfo>;
  /** Tensors that `perChannel` reads. */
  tables: Record<string, TensorInfo>;
  /**
   * GLSL for a vec2 of the values for the pair of channels whose index is `pair`. Of `scale`,
   * the code sees the vec4 `scaleLanes`.
   */
  perChannel: Record<string, string>;
}

/** GLSL that declares the vec4s of what is per channel, for the lanes of a `unit`. */
export function perChannelLanes(
  {lanes}: TexelView,
  perChannel: LaneInputs['perChannel'],
): string {
  const declarations = Object.entries(perChannel).map(
    ([name, pairOfValues]) => `
      vec2 ${name}Pair = ${pairOfValues};
      vec4 ${name}Lanes = ${lanes.spread(`${name}Pair`, 'unit')};`,
  );
  return `int pair = ${lanes.pairOf('unit')};${declarations.join('')}`;
}

/**
 * GLSL for where a texel of a list is in a texture that is `width` texels wide; x is also
 * `index % width`, and y `index / width`. Integers are slow to divide, on GPUs too.
 */
export const place = `
  ivec2 place(int index, int width) {
    int row = int(float(index) / float(width));
    int column = index - row * width;
    // The quotient was rounded, so the row may be off by one.
    if (column < 0) return ivec2(column + width, row - 1);
    if (column >= width) return ivec2(column - width, row + 1);
    return ivec2(column, row);
  }
`;

interface Pass extends LaneInputs {
  /** GLSL for the vec4 to write. */
  code: string;
}

/** One pass over all texels of a view: reads each once and writes one. */
export function eachTexel(
  {run}: Runner,
  view: TexelView,
  {values, tables, perChannel, code}: Pass,
): TensorInfo {
  const {units, inner, shape} = view;
  const reads = Object.keys(values).map(
    name =>
      `vec4 ${name}Lanes = texelFetch(${name}, placeIn(textureSize(${name}, 0).x), 0);`,
  );
  return run({
    inputs: {...values, ...tables},
    shape,
    code: `
      ${place}

      // The texel that is written, in the texture and in the list of texels.
      #define HERE ivec2(gl_FragCoord.xy)
      #define WIDTH (outTexShape[1] / 2)
      #define INDEX (HERE.y * WIDTH + HERE.x)

      // Where it is in a texture of the same list that may break it into other rows.
      ivec2 placeIn(int width) {
        return width == WIDTH ? HERE : place(INDEX, width);
      }

      void main() {
        int unit = place(INDEX / ${inner}, ${units}).x;
        ${perChannelLanes(view, perChannel)}
        ${reads.join('\n')}
        setOutput(${code});
      }
    `,
  });
}

/** A shader for what is per channel. */
interface PerChannel {
  inputs: Record<string, TensorInfo>;
  /** GLSL functions. */
  functions?: string;
  /** GLSL statements; `pair` is the index of the pair of channels. */
  code?: string;
}

/** [channels], of a GLSL expression for the vec2 of the pair's values. */
export function perChannelVector(
  runner: Runner,
  channels: number,
  {values, ...args}: PerChannel & {values: string},
): TensorInfo {
  const output = `vec4(${values}, 0, 0)`;
  return runner.run({
    inputs: args.inputs,
    shape: [channels],
    code: shader(args, output),
  });
}

/** [4, channels], of GLSL expressions for the vec2s of the pair's values in each row. */
export function perChannelTable(
  runner: Runner,
  channels: number,
  {rows, ...args}: PerChannel & {rows: readonly [string, string, string, string]},
): TensorInfo {
  const [a, b, c, d] = rows;
  const output = `int(gl_FragCoord.y) == 0 ? vec4(${a}, ${b}) : vec4(${c}, ${d})`;
  return runner.run({
    inputs: args.inputs,
    shape: [4, channels],
    code: shader(args, output),
  });
}

function shader({functions = '', code = ''}: PerChannel, output: string): string {
  return `
    ${functions}

    void main() {
      int pair = int(gl_FragCoord.x);
      ${code}
      setOutput(${output});
    }
  `;
}

/** GLSL for the vec2 of the pair's values in a [channels] sampler. */
export function ofVector(sampler: string): string {
  return `texelFetch(${sampler}, ivec2(pair, 0), 0).xy`;
}

export type TableRow = 0 | 1 | 2 | 3;

/** GLSL for the vec2 of the pair's values in a row of a [4, channels] sampler. */
export function ofTable(sampler: string, row: TableRow): string {
  const lanes = row % 2 === 0 ? 'xy' : 'zw';
  return `texelFetch(${sampler}, ivec2(pair, ${row >> 1}), 0).${lanes}`;
}

/** GLSL for the number as a float. */
export function float(value: number): string {
  return value.toExponential();
}
