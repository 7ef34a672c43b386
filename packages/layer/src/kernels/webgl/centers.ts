import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {Runner} from './backend.js';
import {place} from './lane_inputs.js';
import {float, perChannelVector} from './per_channel.js';
import type {TexelView} from './texel_view.js';

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
