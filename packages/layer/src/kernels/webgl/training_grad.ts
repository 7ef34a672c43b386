import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {Kernels} from '../kernel.js';
import {activationGrad} from './activation.js';
import {isSupported, withRunner} from './backend.js';
import {blockSums, totals} from './channel_sums.js';
import {eachTexel} from './each_texel.js';
import type {LaneInputs} from './lane_inputs.js';
import {ofNormalization} from './normalization.js';
import {
  float,
  ofTable,
  ofVector,
  perChannelTable,
  perChannelVector,
} from './per_channel.js';
import {texelView} from './texel_view.js';

/**
 * The formulas are those of composed/training_grad.ts. The reserve is the table of the
 * normalization, which knows the mean better than float32 does.
 */
export const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, backend) => {
  const {variance, reserve0: normalization} = inputs;
  const {axis, epsilon, activation, hasShortcut} = attrs;
  const {shape} = inputs.x;
  const view = texelView(shape, axis);
  const {channels, count} = view;
  // Without the reserve, another kernel was the forward pass.
  if (!isSupported(channels, view.texels) || normalization === undefined) return null;

  return withRunner(backend, runner => {
    const packed = (tensor: TensorInfo) => runner.packed(tensor, view.shape);
    const x = packed(inputs.x);
    const upstream: LaneInputs['values'] = {
      dy: packed(inputs.dy),
      ...(inputs.y && {y: packed(inputs.y)}),
    };
    const dzOfDy = activationGrad('dyLanes', 'yLanes', activation);
    const dz = hasShortcut
      ? eachTexel(runner, view, {
          values: upstream,
          tables: {},
          perChannel: {},
          code: dzOfDy,
        })
      : null;
    // Where dz is no output it is never written.
    const values: LaneInputs['values'] = dz ? {x, dz} : {x, ...upstream};
    const dzLanes = dz ? 'dzLanes' : dzOfDy;

    const {tensor: sums, blocks} = blockSums(runner, view, {
      values,
      tables: {normalization},
      perChannel: {center: ofNormalization('center')},
      code: `
        first = ${dzLanes};
        second = first * (xLanes - centerLanes);
      `,
    });
    const gradients = {
      inputs: {sums, normalization, variance},
      functions: totals(blocks),
      code: `
        vec4 total = totals(pair);
        vec2 dbeta = total.xy;
        vec2 shift = ${ofNormalization('shift')};
        vec2 r = inversesqrt(${ofVector('variance')} + ${float(epsilon)});
        vec2 dgamma = r * (total.zw - shift * dbeta);
      `,
    };
    const dgamma = perChannelVector(runner, channels, {...gradients, values: 'dgamma'});
    const dbeta = perChannelVector(runner, channels, {...gradients, values: 'dbeta'});
    const coefficients = perChannelTable(runner, channels, {
      ...gradients,
      code: `
        ${gradients.code}
        vec2 a = ${ofNormalization('scale')};
        vec2 b = -a * r * dgamma / ${float(count)};
        vec2 c = -a * dbeta / ${float(count)} - b * shift;
      `,
      rows: ['a', 'b', 'c', ofNormalization('center')],
    });
    const dx = eachTexel(runner, view, {
      values,
      tables: {coefficients},
      perChannel: {
        a: ofTable('coefficients', 0),
        b: ofTable('coefficients', 1),
        c: ofTable('coefficients', 2),
        center: ofTable('coefficients', 3),
      },
      code: `aLanes * ${dzLanes} + bLanes * (xLanes - centerLanes) + cLanes`,
    });
    return [{...dx, shape}, dgamma, dbeta, ...(dz ? [{...dz, shape}] : [])];
  });
};
