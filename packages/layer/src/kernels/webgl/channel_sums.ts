/**
 * What is reduced over the values of each channel: two sums, and the center that they are taken
 * about.
 *
 * The sums are made by two shaders: the first adds up a block of texels in each invocation, the
 * second the sums of the blocks. So there is work for all of a GPU, and no long sum of float32
 * numbers, which would be inexact.
 */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import {LEAST_TEXTURE_SIZE, type Runner} from './backend.js';
import {
  float,
  perChannelLanes,
  perChannelVector,
  place,
  type LaneInputs,
  type TexelView,
} from './texels.js';

const MAX_SAMPLES = 8;

/**
 * [channels]: a number near the mean of each channel, the mean of a few of its values. The
 * moments about it lose no digits, however large the mean is.
 */
export function centers(runner: Runner, view: TexelView, x: TensorInfo): TensorInfo {
  const {outer, units, inner, channels, lanes} = view;
  const positions = outer * inner;
  const samples = Math.min(MAX_SAMPLES, positions);
  const indices = Array.from({length: samples}, (_, i) => {
    const position = Math.floor((i * positions) / samples);
    return Math.floor(position / inner) * units * inner + (position % inner);
  });
  const additions = indices.map(
    index => `
      texel = texelFetch(x, place(first + ${index}, width), 0);
      center += ${lanes.first('texel')} / ${float(samples)};`,
  );
  return perChannelVector(runner, channels, {
    inputs: {x},
    functions: `
      ${place}

      vec2 centerOf(int unit) {
        int width = textureSize(x, 0).x;
        int first = unit * ${inner};
        vec2 center = vec2(0);
        vec4 texel;
        ${additions.join('')}
        return center;
      }
    `,
    values: lanes.areOneChannel
      ? 'vec2(centerOf(2 * pair).x, centerOf(2 * pair + 1).x)'
      : 'centerOf(pair)',
  });
}

/**
 * GLSL for long sums of float32 numbers: what each addition rounds off is added to the next
 * term, so that a sum in which large terms cancel is still right. Where a compiler reorders
 * additions, it is an ordinary sum.
 *
 * Source: Kahan, "Further remarks on reducing truncation errors", 1965.
 */
const sum = `
  struct Sum {
    vec4 value;
    // By how much the value is too large.
    vec4 excess;
  };

  void add(inout Sum sum, vec4 term) {
    vec4 corrected = term - sum.excess;
    vec4 next = sum.value + corrected;
    sum.excess = (next - sum.value) - corrected;
    sum.value = next;
  }
`;

/** So that they fit into a texture of two columns on every device. */
const MAX_BLOCKS = LEAST_TEXTURE_SIZE / 2;

/** The sums of each block: texel (pair of channels, block) has the first and the second sum. */
export interface BlockSums {
  tensor: TensorInfo;
  blocks: number;
}

interface Terms extends LaneInputs {
  /** GLSL that sets the vec4s `first` and `second`, what is added up of a texel. */
  code: string;
}

export function blockSums(
  {run}: Runner,
  view: TexelView,
  {values, tables, perChannel, code}: Terms,
): BlockSums {
  const {outer, units, inner, channels, unitShape, lanes} = view;
  const positions = outer * inner;
  const blockSize = Math.ceil(Math.max(Math.sqrt(positions), positions / MAX_BLOCKS));
  const blocks = Math.ceil(positions / blockSize);
  const names = Object.keys(values);
  const each = (text: (name: string) => string) => names.map(text).join('');
  const isRagged = unitShape.some(size => size % 2 === 1);

  const tensor = run({
    inputs: {...values, ...tables},
    // Two rows and two columns are a texel.
    shape: [2 * blocks, 2 * Math.ceil(channels / 2)],
    code: `
      ${place}
      ${sum}

      // Goes through the texels of a unit.
      struct Cursor {
        ivec2 at;
        // To the next texel of the list, and to the next of the unit where a gap is between.
        ivec2 step;
        ivec2 jump;
        int width;
      };

      Cursor cursorAt(int index, int width) {
        ivec2 jump = place(${(units - 1) * inner + 1}, width);
        return Cursor(place(index, width), place(1, width), jump, width);
      }

      void advance(inout Cursor cursor, bool jumps) {
        cursor.at += jumps ? cursor.jump : cursor.step;
        if (cursor.at.x >= cursor.width) cursor.at += ivec2(-cursor.width, 1);
      }

      ${isRagged ? isInside(unitShape) : ''}

      vec4 sumsOf(int unit, int start, int end) {
        ${perChannelLanes(view, perChannel)}
        int i = start % ${inner};
        int index = (start / ${inner} * ${units} + unit) * ${inner} + i;
        ${each(name => `Cursor ${name}Cursor = cursorAt(index, textureSize(${name}, 0).x);\n`)}
        Sum firstSum = Sum(vec4(0), vec4(0));
        Sum secondSum = Sum(vec4(0), vec4(0));
        for (int position = start; position < end; ++position) {
          ${each(name => `vec4 ${name}Lanes = texelFetch(${name}, ${name}Cursor.at, 0);\n`)}
          vec4 first;
          vec4 second;
          ${code}
          ${
            isRagged
              ? `bvec4 inside = isInside(position);
                 first = mix(vec4(0), first, inside);
                 second = mix(vec4(0), second, inside);`
              : ''
          }
          add(firstSum, first);
          add(secondSum, second);
          bool jumps = ++i == ${inner};
          if (jumps) i = 0;
          ${each(name => `advance(${name}Cursor, jumps);\n`)}
        }
        return vec4(${lanes.sum('firstSum.value')}, ${lanes.sum('secondSum.value')});
      }

      void main() {
        int pair = int(gl_FragCoord.x);
        int start = int(gl_FragCoord.y) * ${blockSize};
        int end = min(start + ${blockSize}, ${positions});
        ${
          lanes.areOneChannel
            ? `vec4 even = sumsOf(2 * pair, start, end);
               vec4 odd = sumsOf(2 * pair + 1, start, end);
               setOutput(vec4(even.x, odd.x, even.z, odd.z));`
            : 'setOutput(sumsOf(pair, start, end));'
        }
      }
    `,
  });
  return {tensor, blocks};
}

/** Which lanes of a unit's texel at a position are not beyond the end of the matrix. */
function isInside([rows, columns]: [number, number]): string {
  const height = Math.ceil(rows / 2);
  const width = Math.ceil(columns / 2);
  return `
    bvec4 isInside(int position) {
      ivec2 at = place(position, ${width});
      int row = place(at.y, ${height}).x;
      bool isRight = 2 * at.x + 1 < ${columns};
      bool isBelow = 2 * row + 1 < ${rows};
      return bvec4(true, isRight, isBelow, isBelow && isRight);
    }
  `;
}

/** GLSL: the vec4 of both sums of a pair of channels, over all blocks of the sampler `sums`. */
export function totals(blocks: number): string {
  return `
    ${sum}
    vec4 totals(int pair) {
      Sum total = Sum(vec4(0), vec4(0));
      for (int block = 0; block < ${blocks}; ++block) {
        add(total, texelFetch(sums, ivec2(pair, block), 0));
      }
      return total.value;
    }
  `;
}
