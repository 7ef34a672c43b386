/** The kernels of the `webgl` backend: fragment shaders over packed textures. */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {FusedActivation, Kernels} from '../kernel.js';
import {isSupported, withRunner, type Runner} from './backend.js';
import {blockSums, centers, totals} from './channel_sums.js';
import {movingStatistics} from './moving_statistics.js';
import {
  eachTexel,
  float,
  ofTable,
  ofVector,
  perChannelTable,
  perChannelVector,
  texelView,
  type LaneInputs,
  type TableRow,
  type TexelView,
} from './texels.js';

/** activation(z). NaN stays: whether min and max would keep it is left to the device. */
function activated(z: string, activation: FusedActivation): string {
  switch (activation) {
    case 'linear':
      return z;
    case 'relu':
      return atLeast0(z);
    case 'relu6':
      return `mix(${atLeast0(z)}, vec4(6), greaterThan(${z}, vec4(6)))`;
  }
}

function atLeast0(z: string): string {
  return `mix(${z}, vec4(0), lessThan(${z}, vec4(0)))`;
}

/** dz = dy·activation′, from y: dy where the activation let the value through, 0 elsewhere. */
function activationGrad(dy: string, y: string, activation: FusedActivation): string {
  const ofRelu = `mix(vec4(0), ${dy}, greaterThan(${y}, vec4(0)))`;
  switch (activation) {
    case 'linear':
      return dy;
    case 'relu':
      return ofRelu;
    case 'relu6':
      return `mix(vec4(0), ${ofRelu}, lessThan(${y}, vec4(6)))`;
  }
}

/**
 * The rows of the table [4, channels] of a normalization, which is one pass:
 *
 *     y = activation((x − center)·scale + offset + shortcut)
 *     scale = gamma/√(variance + epsilon)
 *     offset = beta − shift·scale
 *
 * The center is a float32 number near the mean, which is center + shift.
 */
const normalizationRows = ['scale', 'offset', 'center', 'shift'] as const;

/** GLSL for the vec2 of one of them, for the pair of channels whose index is `pair`. */
function ofNormalization(row: (typeof normalizationRows)[number]): string {
  return ofTable('normalization', normalizationRows.indexOf(row) as TableRow);
}

interface Inputs {
  x: TensorInfo;
  normalization: TensorInfo;
  shortcut: TensorInfo | undefined;
}

function normalized(
  runner: Runner,
  view: TexelView,
  {x, normalization, shortcut}: Inputs,
  activation: FusedActivation,
): TensorInfo {
  const norm = '(xLanes - centerLanes) * scaleLanes + offsetLanes';
  const z = shortcut ? `${norm} + shortcutLanes` : norm;
  return eachTexel(runner, view, {
    values: {x, ...(shortcut && {shortcut})},
    tables: {normalization},
    perChannel: {
      center: ofNormalization('center'),
      scale: ofNormalization('scale'),
      offset: ofNormalization('offset'),
    },
    code: activated(z, activation),
  });
}

const training: Kernels['training'] = (inputs, attrs, backend) => {
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

/**
 * The formulas are those of composed/kernels.ts. The reserve is the table of the
 * normalization, which knows the mean better than float32 does.
 */
const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, backend) => {
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
    // Where dz is not an output it is never written.
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

const inference: Kernels['inference'] = (inputs, attrs, backend) => {
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

export const webglKernels: Kernels = {
  training,
  trainingGrad,
  inference,
  movingStatistics,
};
