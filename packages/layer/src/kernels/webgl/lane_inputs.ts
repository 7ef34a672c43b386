/** What a shader over the texels of a view reads, as vec4s of lanes. */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {TexelView} from './texel_view.js';

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
 * GLSL for where a texel of a list is in a texture that is so many texels wide; x is also
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
