/** The norm and what follows it in a residual network, as layers of a model. */
import {resBatchNorm} from '@resbatchnorm/layer';
import * as tfl from '@tensorflow/tfjs-layers';

import type {NormName} from './options.js';

// The same for both norms, so that they can be compared: the built-in's momentum is 0.99.
const normArgs = {momentum: 0.9, epsilon: 1e-3};

/** norm(x). */
export function applyNorm(norm: NormName, x: tfl.SymbolicTensor, name: string) {
  switch (norm) {
    case 'res':
      return apply(resBatchNorm({...normArgs, name: `${name}_norm`}), x);
    case 'builtin':
      return apply(tfl.layers.batchNormalization({...normArgs, name: `${name}_norm`}), x);
    case 'none':
      return x;
  }
}

/** ReLU(norm(x)): one layer with ResBatchNorm. */
export function normRelu(norm: NormName, x: tfl.SymbolicTensor, name: string) {
  if (norm === 'res') {
    const layer = resBatchNorm({...normArgs, activation: 'relu', name: `${name}_norm`});
    return apply(layer, x);
  }
  return apply(tfl.layers.reLU({name: `${name}_relu`}), applyNorm(norm, x, name));
}

/** ReLU(norm(x) + shortcut), the end of a block: one layer with ResBatchNorm. */
export function normAddRelu(
  norm: NormName,
  x: tfl.SymbolicTensor,
  shortcut: tfl.SymbolicTensor,
  name: string,
) {
  if (norm === 'res') {
    const layer = resBatchNorm({...normArgs, activation: 'relu', name: `${name}_norm`});
    return apply(layer, [x, shortcut]);
  }
  const sum = apply(tfl.layers.add({name: `${name}_add`}), [
    applyNorm(norm, x, name),
    shortcut,
  ]);
  return apply(tfl.layers.reLU({name: `${name}_relu`}), sum);
}

/** The output of a layer that is new to the model. */
export function apply(
  layer: Layer,
  x: tfl.SymbolicTensor | tfl.SymbolicTensor[],
): tfl.SymbolicTensor {
  return layer.apply(x) as tfl.SymbolicTensor;
}

type Layer = tfl.LayersModel['layers'][number];
