/**
 * A tensor in a packed texture as batch normalization sees it.
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
 * What is per channel comes in texels too, each of one pair of adjacent channels.
 */
import {channelView} from '../channel_view.js';

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
