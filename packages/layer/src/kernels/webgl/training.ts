import type {Kernels} from '../kernel.js';
import {isSupported, withRunner} from './backend.js';
import {centers} from './centers.js';
import {blockSums, totals} from './channel_sums.js';
import {normalizationRows, normalized} from './normalization.js';
import {float, ofVector, perChannelTable, perChannelVector} from './per_channel.js';
import {texelView} from './texel_view.js';

export const training: Kernels['training'] = (inputs, attrs, backend) => {
  const {gamma, beta} = inputs;
  const {axis, epsilon, activation} = attrs;
  const {shape} = inputs.x;
  const view = texelView(shape, axis);
  const {channels, count} = view;
  if (!isSupported(channels, view.texels)) return null;

  return withRunner(backend, runner => {
    const x = runner.packed(inputs.x, view.shape);
    const center = centers(runner, view, x);
    const {tensor: sums, blocks} = blockSums(runner, view, {
      values: {x},
      tables: {centers: center},
      perChannel: {center: ofVector('centers')},
      code: `
        first = xLanes - centerLanes;
        second = first * first;
      `,
    });
    const moments = {
      inputs: {sums, centers: center},
      functions: totals(blocks),
      code: `
        vec2 center = ${ofVector('centers')};
        vec4 means = totals(pair) / ${float(count)};
        // The mean is center + shift.
        vec2 shift = means.xy;
        vec2 variance = means.zw - shift * shift;
        // Not by max, which may make 0 of NaN.
        variance = mix(variance, vec2(0), lessThan(variance, vec2(0)));
      `,
    };
    const mean = perChannelVector(runner, channels, {
      ...moments,
      values: 'center + shift',
    });
    const variance = perChannelVector(runner, channels, {...moments, values: 'variance'});
    const normalization = perChannelTable(runner, channels, {
      inputs: {...moments.inputs, gamma, beta},
      functions: moments.functions,
      code: `
        ${moments.code}
        vec2 scale = ${ofVector('gamma')} * inversesqrt(variance + ${float(epsilon)});
        vec2 offset = ${ofVector('beta')} - shift * scale;
      `,
      rows: normalizationRows,
    });
    const shortcut = inputs.shortcut && runner.packed(inputs.shortcut, view.shape);
    const y = normalized(runner, view, {x, normalization, shortcut}, activation);
    return [{...y, shape}, mean, variance, normalization];
  });
};
