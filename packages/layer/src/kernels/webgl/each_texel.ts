/** One pass over all texels of a view: reads each once and writes one. */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {Runner} from './backend.js';
import {perChannelLanes, place, type LaneInputs} from './lane_inputs.js';
import type {TexelView} from './texel_view.js';

interface Pass extends LaneInputs {
  /** GLSL for the vec4 to write. */
  code: string;
}

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
