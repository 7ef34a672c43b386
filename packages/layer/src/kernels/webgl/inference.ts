import type {Kernels} from '../kernel.js';
import {isSupported, withRunner} from './backend.js';
import {normalized} from './normalization.js';
import {float, ofVector, perChannelTable} from './per_channel.js';
import {texelView} from './texel_view.js';

export const inference: Kernels['inference'] = (inputs, attrs, backend) => {
  const {gamma, beta, mean, variance} = inputs;
  const {axis, epsilon, activation} = attrs;
  const {shape} = inputs.x;
  const view = texelView(shape, axis);
  if (!isSupported(view.channels, view.texels)) return null;

  return withRunner(backend, runner => {
    const normalization = perChannelTable(runner, view.channels, {
      inputs: {gamma, beta, mean, variance},
      code: `
        vec2 r = inversesqrt(${ofVector('variance')} + ${float(epsilon)});
        vec2 scale = ${ofVector('gamma')} * r;
      `,
      // The center is the mean itself.
      rows: ['scale', ofVector('beta'), ofVector('mean'), 'vec2(0)'],
    });
    const x = runner.packed(inputs.x, view.shape);
    const shortcut = inputs.shortcut && runner.packed(inputs.shortcut, view.shape);
    const y = normalized(runner, view, {x, normalization, shortcut}, activation);
    return [{...y, shape}];
  });
};
