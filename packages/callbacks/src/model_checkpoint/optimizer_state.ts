/**
 * The state of an optimizer, to the bit.
 *
 * The optimizers' own `getWeights` and `setWeights` do not give that: Adam computes the powers
 * of beta anew and rounds them differently, Adamax has neither method, and momentum that was
 * set later is lost. So this reads and writes the tensors that the optimizer holds: single
 * ones, such as Adam's `accBeta1`, and arrays with one for each weight, such as momentum's
 * `accumulations`. An optimizer of the user's own is asked by `getWeights` and `setWeights`.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {CheckpointError} from './checkpoint_folder.js';

export interface OptimizerState {
  className: string;
  config: tf.serialization.ConfigDict;
  /** Steps made. */
  iterations: number;
  /** The tensors, in the order of their values in optimizer.bin. */
  specs: tf.io.WeightsManifestEntry[];
}

/** A variable that belongs to a weight of the model, as the optimizers keep it. */
interface Slot {
  /** The weight's name and, behind the last slash, the variable's. */
  originalName: string;
  variable: tf.Variable;
}

type NamedTensor = Awaited<ReturnType<tf.Optimizer['getWeights']>>[number];

/** What the optimizers of tfjs-core hold. */
type Fields = Record<string, unknown> & {iterations_: number};

const BUILT_IN = ['SGD', 'Momentum', 'RMSProp', 'Adagrad', 'Adadelta', 'Adam', 'Adamax'];

/** @throws CheckpointError if the optimizer has variables of weights outside of the model. */
export async function readOptimizer(
  optimizer: tf.Optimizer,
  model: tfl.LayersModel,
): Promise<{state: OptimizerState; data: ArrayBuffer}> {
  const named = isBuiltIn(optimizer)
    ? ownTensors(optimizer, model)
    : await weightsByNumber(optimizer);
  const {data, specs} = await tf.io.encodeWeights(named);
  const className = optimizer.getClassName();
  const {iterations} = optimizer;
  return {state: {className, config: optimizer.getConfig(), iterations, specs}, data};
}

/** @throws CheckpointError if the class of the optimizer is not registered. */
export async function writeOptimizer(
  {className, config, iterations, specs}: OptimizerState,
  data: ArrayBuffer,
  model: tfl.LayersModel,
): Promise<tf.Optimizer> {
  const optimizer = makeOptimizer(className, config);
  let tensors: tf.NamedTensorMap = {};
  try {
    tensors = tf.io.decodeWeights(data, specs);
    if (isBuiltIn(optimizer)) {
      const fields = optimizer as unknown as Fields;
      fields.iterations_ = iterations;
      setOwnTensors(fields, tensors, model);
    } else {
      await optimizer.setWeights(withoutNumbers(tensors));
    }
    return optimizer;
  } catch (error) {
    optimizer.dispose();
    throw error;
  } finally {
    tf.dispose(tensors);
  }
}

function isBuiltIn(optimizer: tf.Optimizer): boolean {
  return BUILT_IN.includes(optimizer.getClassName());
}

/** What `getWeights` gives; the numbers keep names apart. */
async function weightsByNumber(optimizer: tf.Optimizer): Promise<NamedTensor[]> {
  const weights = await optimizer.getWeights();
  return weights.map(({name, tensor}, i) => ({name: `${i}/${name}`, tensor}));
}

/** What `setWeights` takes. */
function withoutNumbers(tensors: tf.NamedTensorMap): NamedTensor[] {
  return Object.entries(tensors).map(([name, tensor]) => ({
    name: name.slice(name.indexOf('/') + 1),
    tensor,
  }));
}

/** Single tensors are named `field`, those of a weight `field/suffix/weight`. */
function ownTensors(optimizer: tf.Optimizer, model: tfl.LayersModel): NamedTensor[] {
  return Object.entries(optimizer).flatMap(([field, value]) => {
    if (value instanceof tf.Tensor) return [{name: field, tensor: value}];
    if (!isSlots(value)) return [];
    const weights = weightsOf(value, model);
    return value.map(({variable, originalName}, i) => ({
      name: [field, originalName.split('/').at(-1), weights[i]].join('/'),
      tensor: variable,
    }));
  });
}

function isSlots(value: unknown): value is Slot[] {
  return Array.isArray(value) && value.every(slot => slot?.variable instanceof tf.Tensor);
}

/** The name of the weight that each slot belongs to. */
function weightsOf(slots: readonly Slot[], model: tfl.LayersModel): string[] {
  const byName = new Map(model.weights.map(weight => [weight.name, weight.originalName]));
  const named = slots.map(({originalName}) =>
    byName.get(originalName.slice(0, originalName.lastIndexOf('/'))),
  );
  if (new Set(named).size === slots.length && named.every(isDefined)) return named;
  // tf.loadLayersModel leaves the names of the model that was saved. The n-th slot is the one
  // of the n-th weight that `fit` trains.
  const trained = model.trainableWeights;
  const fits =
    slots.length === trained.length &&
    slots.every(({variable}, i) => String(variable.shape) === String(trained[i].shape));
  if (fits) return trained.map(({originalName}) => originalName);
  const strange = slots.filter((_, i) => !isDefined(named[i]));
  throw new CheckpointError(
    `The optimizer's variables must belong to weights of the model '${model.name}', one of ` +
      'each kind to a weight, for a checkpoint to hold them. Received: ' +
      (strange.length > 0
        ? `${strange.map(slot => slot.originalName).join(', ')}, of no weight of the model`
        : 'several of a kind for one weight, as when layers are frozen or thawed between ' +
          'steps of one optimizer: compile with a new one then'),
  );
}

function isDefined<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function makeOptimizer(
  className: string,
  config: tf.serialization.ConfigDict,
): tf.Optimizer {
  const {classNameMap} = tf.serialization.SerializationMap.getMap();
  if (!(className in classNameMap)) {
    throw new CheckpointError(
      `The optimizer's class ${className} must be registered before its checkpoint is ` +
        `loaded: tf.serialization.registerClass(${className})`,
    );
  }
  const [cls, fromConfig] = classNameMap[className];
  return fromConfig(cls, config) as tf.Optimizer;
}

function setOwnTensors(
  fields: Fields,
  tensors: tf.NamedTensorMap,
  model: tfl.LayersModel,
): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!name.includes('/')) setTensor(fields, name, tensor);
  }
  setSlots(fields, tensors, model);
}

function setTensor(fields: Fields, name: string, tensor: tf.Tensor): void {
  const old = fields[name] as tf.Tensor;
  if (old instanceof tf.Variable) {
    old.assign(tensor);
  } else {
    old.dispose();
    fields[name] = tf.clone(tensor);
  }
}

/**
 * Optimizers tell slots by their place in the array, that is, by the order of the weights that
 * they train. A loaded model's weights may have been made in another order, so this puts the
 * slots into the order of the model.
 */
function setSlots(
  fields: Fields,
  tensors: tf.NamedTensorMap,
  model: tfl.LayersModel,
): void {
  const weights = [...model.trainableWeights, ...model.nonTrainableWeights];
  for (const [field, value] of Object.entries(fields)) {
    if (!isSlots(value)) continue;
    const saved = new Map(
      Object.keys(tensors).flatMap(name => {
        const [savedField, suffix, ...weight] = name.split('/');
        return savedField === field ? [[weight.join('/'), {name, suffix}]] : [];
      }),
    );
    fields[field] = weights.flatMap(weight => {
      const slot = saved.get(weight.originalName);
      if (slot === undefined) return [];
      const variable = tf.variable(tensors[slot.name], false);
      return [{originalName: `${weight.name}/${slot.suffix}`, variable}];
    });
  }
}
