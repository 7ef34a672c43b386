/**
 * Checks of weights that are about to be loaded from a file or set: a moving statistic that is
 * missing, broken or meant for another weight is how a model comes to train well and to test
 * badly. Nothing is changed where something is refused.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorms, weightName, type Layer} from './batch_norms.js';
import {ValueError} from './errors.js';

type Tensor = tf.Tensor;

/** A fault, and what may be the reason for it. */
interface Fault {
  what: string;
  reason?: string;
}

const reasons = {
  missing:
    'A model saved with trainableOnly, or by code that saves trainable variables alone, has ' +
    'no moving statistics.',
  unlisted:
    'A layer that holds others must list their weights among its own (trainableWeights, ' +
    'nonTrainableWeights), or they are neither saved nor loaded.',
  nan: 'The model that they come from has probably diverged: use an earlier checkpoint.',
  infinite:
    'Saving in float16 turns values over 65,504 into Infinity: save without quantization, or ' +
    'leave these weights out of it.',
};

/**
 * Checks the moving statistics among weights that `model.loadWeights` is given, each in the
 * form in which the file names it.
 *
 * @param strict As in `loadWeights`. If false, a layer may be missing as a whole, but not its
 *     moving statistics alone.
 * @throws ValueError that lists every moving statistic that is missing, has the wrong shape,
 *     is not finite or is a negative variance.
 */
export function checkLoadedWeights(
  model: tfl.LayersModel,
  weights: tf.NamedTensorMap,
  strict: boolean,
): void {
  const {names, tensors, isAmbiguous} = assignedBy(model, weights);
  // tfjs-layers refuses weights that have one name.
  if (isAmbiguous) return;
  const faults = resBatchNorms(model).flatMap(layer => {
    const isThere = layer.weights.some(variable => tensors.has(variable));
    return statisticsOf(layer).flatMap((variable): Fault[] => {
      const name = names.get(variable);
      if (name === undefined) {
        const what = `${variable.originalName} is not among the weights of the layer that holds '${layer.name}'`;
        return strict ? [{what, reason: reasons.unlisted}] : [];
      }
      const tensor = tensors.get(variable);
      if (tensor === undefined) {
        const what = `${name} is missing`;
        return strict || isThere ? [{what, reason: reasons.missing}] : [];
      }
      return faultOf(variable, name, tensor);
    });
  });
  refuse(
    faults,
    "The moving statistics can't be loaded, and without them the model would predict wrongly",
    'Nothing was loaded.',
  );
}

/**
 * Which tensors `loadWeights` of tfjs-layers 4.22 assigns to which variables of a model, and
 * under which names it looks for them: by their names, or numbered within their layers, as
 * Keras 3 writes them; and layer/cell/weight stands for layer/weight where that is missing.
 */
function assignedBy(model: tfl.LayersModel, weights: tf.NamedTensorMap) {
  const [first = ''] = Object.keys(weights);
  const isNumbered = !Number.isNaN(parseInt(first.split('/').at(-1)!, 10));
  const names = new Map<tfl.LayerVariable, string>();
  const open = new Map<string, tfl.LayerVariable>();
  for (const layer of model.layers) {
    layer.weights.forEach((variable, i) => {
      const scope = variable.name.split('/').slice(0, -1).join('/');
      const name = isNumbered ? `${scope}/${i}` : variable.originalName;
      names.set(variable, name);
      open.set(name, variable);
    });
  }
  const isAmbiguous = open.size < names.size;
  const tensors = new Map<tfl.LayerVariable, Tensor>();
  for (const [name, tensor] of Object.entries(weights)) {
    const tokens = name.split('/');
    const shortName = [...tokens.slice(0, -2), tokens.at(-1)].join('/');
    const found = open.has(name) ? name : shortName;
    const variable = open.get(found);
    if (variable !== undefined) tensors.set(variable, tensor);
    open.delete(found);
  }
  return {names, tensors, isAmbiguous};
}

/**
 * Checks the weights that `setWeights` of a layer or a model is given, for the ResBatchNorms in
 * it.
 *
 * @throws ValueError that lists every weight that is not finite, is a negative variance or is
 *     not of the variable's type; and every variable that is set to another of another name, as
 *     weights of a model that is frozen are in another order.
 */
export function checkSetWeights(layer: Layer, weights: readonly Tensor[]): void {
  const variables = layer.weights;
  // tfjs-layers says what is wrong then.
  if (weights.length !== variables.length) return;
  const own = new Set(resBatchNorms(layer).flatMap(norm => norm.weights));
  const names = new Set(variables.map(({name}) => nameIn(name)));
  const hasShape = (tensor: Tensor, i: number) =>
    String(tensor.shape) === String(variables[i].shape);
  const checked = weights.filter(
    (tensor, i) => own.has(variables[i]) && hasShape(tensor, i),
  );
  const all = valuesOf(checked);
  const values = new Map(checked.map((tensor, i) => [tensor, all[i]]));
  const faults = variables.flatMap((variable, i): Fault[] => {
    const tensor = weights[i];
    if (!own.has(variable) || tensor.dtype === undefined) return [];
    const name = variable.originalName;
    const from = (tensor as Tensor & {name?: string}).name;
    // A variable of the user's own has any name.
    const isOfOther =
      from !== undefined &&
      names.has(nameIn(from)) &&
      nameIn(from) !== nameIn(variable.name);
    if (isOfOther) {
      return [
        {
          what: `${name} would be set to ${from}`,
          reason:
            'The order of weights depends on which layers are frozen: freeze the same layers ' +
            'in both models, or match the weights by name.',
        },
      ];
    }
    if (tensor.dtype !== variable.dtype) {
      const what = `${name} must be of type ${variable.dtype}, and is of type ${tensor.dtype}`;
      return [
        {what, reason: 'Averages of weights must leave counts out, or round them.'},
      ];
    }
    return hasShape(tensor, i) ? faultOf(variable, name, tensor, values.get(tensor)) : [];
  });
  refuse(faults, `The weights of '${layer.name}' can't be set`, 'Nothing was set.');
}

/** The weight that a variable's name is of: `gamma` of `bn/gamma_1`. */
function nameIn(variableName: string): string {
  return variableName.slice(variableName.lastIndexOf('/') + 1).replace(/_\d+$/, '');
}

function refuse(faults: readonly Fault[], what: string, end: string): void {
  if (faults.length === 0) return;
  const given = faults.flatMap(({reason}) => reason ?? []);
  const lines = faults.map(fault => fault.what);
  throw new ValueError(
    `${what}:\n  ${lines.join('\n  ')}\n${[...new Set(given), end].join(' ')}`,
  );
}

function statisticsOf(layer: Layer): tfl.LayerVariable[] {
  return layer.weights.filter(weight =>
    /^(moving_|renorm_|num_batches_tracked)/.test(weightName(weight)),
  );
}

function faultOf(
  variable: tfl.LayerVariable,
  name: string,
  tensor: Tensor,
  values = valuesOf([tensor])[0],
): Fault[] {
  if (String(tensor.shape) !== String(variable.shape)) {
    return [{what: `${name} has shape [${tensor.shape}], expected [${variable.shape}]`}];
  }
  if (values === null) return [];
  const isNotNegative = /variance|stddev|step$|tracked$/.test(weightName(variable));
  const bad = values.findIndex(
    value => !Number.isFinite(value) || (isNotNegative && value < 0),
  );
  if (bad < 0) return [];
  const value = values[bad];
  const reason = Number.isNaN(value)
    ? reasons.nan
    : Number.isFinite(value)
      ? undefined
      : reasons.infinite;
  return [{what: `${name} holds ${value}, at index ${bad}`, reason}];
}

/**
 * The values, in one read-back of those that are on the device only; null for those that can't
 * be had at once, as on webgpu, which warns of the attempt.
 */
function valuesOf(tensors: readonly Tensor[]): (number[] | null)[] {
  const onDevice = tensors.filter(isOnDevice);
  const canRead = tf.getBackend() !== 'webgpu' && onDevice.length > 0;
  const joined = canRead
    ? tf.tidy(() => tf.concat1d(onDevice.map(flat)).dataSync())
    : new Float32Array();
  let end = 0;
  return tensors.map(tensor => {
    if (!onDevice.includes(tensor)) return readAtOnce(tensor);
    return canRead ? Array.from(joined.slice(end, (end += tensor.size))) : null;
  });
}

/** Not every backend can. */
function readAtOnce(tensor: Tensor): number[] | null {
  try {
    return Array.from(tensor.dataSync());
  } catch {
    return null;
  }
}

function flat(tensor: Tensor): tf.Tensor1D {
  return tf.reshape(tf.cast(tensor, 'float32'), [tensor.size]);
}

/** Whether webgl or webgpu has the values, and the program has not. */
function isOnDevice({dataId}: Tensor): boolean {
  const {texData, tensorMap} = tf.backend() as unknown as Record<
    'texData' | 'tensorMap',
    tf.DataStorage<{values?: object | null}> | undefined
  >;
  const storage = texData ?? tensorMap;
  return storage !== undefined && storage.get(dataId).values == null;
}
