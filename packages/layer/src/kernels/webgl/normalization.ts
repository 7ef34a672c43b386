/**
 * Normalization as one pass, y = activation((x − center)·scale + offset + shortcut). The center
 * is a float32 number near the mean, which is center + shift, and
 *
 *     scale = gamma/√(variance + epsilon)
 *     offset = beta − shift·scale
 */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {FusedActivation} from '../kernel.js';
import {activated} from './activation.js';
import type {Runner} from './backend.js';
import {eachTexel} from './each_texel.js';
import {ofTable, type TableRow} from './per_channel.js';
import type {TexelView} from './texel_view.js';

/** The rows of the table [4, channels] of a normalization. */
export const normalizationRows = ['scale', 'offset', 'center', 'shift'] as const;

/** GLSL for the vec2 of one of them, for the pair of channels whose index is `pair`. */
export function ofNormalization(row: (typeof normalizationRows)[number]): string {
  return ofTable('normalization', normalizationRows.indexOf(row) as TableRow);
}

interface Inputs {
  x: TensorInfo;
  normalization: TensorInfo;
  shortcut: TensorInfo | undefined;
}

export function normalized(
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
