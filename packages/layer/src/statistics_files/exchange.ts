/** The weights of batch norms to and from other frameworks, by their names there. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {setWeightsByName, weightsByName, type Layer} from '../batch_norms.js';
import {describe, ValueError} from '../errors.js';
import {consistentStatistics} from '../moving_statistics.js';
import {
  fileLayers,
  formatOf,
  type FileLayer,
  type Format,
  type LayerNames,
  type StatisticsFormat,
} from './names.js';

export interface ExportStatisticsOptions {
  /** How the tensors are to be named. Default `'keras'`. */
  to?: StatisticsFormat;
  /** The names that layers have there, where they differ. */
  names?: LayerNames;
}

/**
 * The weights of all batch norms of a model, of either class, by the names that they have in
 * another framework:
 *
 * | `to`        | layer 'bn' is                                                             |
 * | ----------- | ------------------------------------------------------------------------- |
 * | `'keras'`   | bn/gamma, bn/beta, bn/moving_mean, bn/moving_variance                     |
 * | `'tf1'`     | bn/BatchNorm/gamma, …/beta, …/moving_mean, …/moving_variance              |
 * | `'pytorch'` | bn.weight, bn.bias, bn.running_mean, bn.running_var, and                  |
 * |             | bn.num_batches_tracked where the layer counts (`momentum: null`)          |
 *
 * `'keras'` has the further weights of a ResBatchNorm as well, under its own names, so that
 * nothing is lost on the way back; the others have no names for them.
 *
 * Epsilon and momentum are not in the tensors. Where the weights are used, epsilon must be the
 * same: the default is 1e-3 here, in Keras and in TensorFlow 1, but 1e-5 in PyTorch. Momentum
 * is the weight of the old value here and in TensorFlow (there also called decay), that of the
 * new one in PyTorch: 0.9 here is 0.1 there.
 *
 * @returns New tensors, which are the caller's to dispose; `encodeSafetensors` writes them.
 * @throws ValueError if an argument is wrong, if the model has no batch norm, or if two would
 *     have the same name.
 */
export function exportStatistics(
  model: tfl.LayersModel,
  {to = 'keras', names}: ExportStatisticsOptions = {},
): tf.NamedTensorMap {
  const {separator, scopes, weights} = formatOf('exportStatistics', 'to', to);
  const [scope] = scopes;
  const tensors: tf.NamedTensorMap = {};
  for (const {layer, name} of fileLayers('exportStatistics', model, names)) {
    for (const [weight, tensor] of Object.entries(weightsByName(layer))) {
      const there = weights[weight];
      if (there === undefined) continue;
      tensors[`${name}${scope}${separator}${there}`] = tf.clone(tensor);
    }
  }
  return tensors;
}

export interface ImportStatisticsOptions {
  /** Where the tensors are from, which says what they are called. */
  from: StatisticsFormat;
  /** The names that layers have there, where they differ. */
  names?: LayerNames;
}

/** What is to become of a layer: tensors of the file by the names of its weights. */
interface Assignment {
  layer: Layer;
  values: tf.NamedTensorMap;
}

/**
 * Sets the weights of all batch norms of a model, of either class, to tensors of another
 * framework, by their names; {@link exportStatistics} says which. A suffix ':0' is ignored. For
 * `'tf1'`, the scope BatchNorm may be missing.
 *
 * `names` is for layers that are called otherwise there: `{bn_1: 'layer1.0.bn1'}`, or
 * `name => `encoder/${name}``.
 *
 * Tensors of layers other than batch norms are ignored: those in a group, as 'conv.weight' and
 * 'conv.bias', that has neither a moving mean nor a moving variance. What else does not fit is
 * an error. `num_batches_tracked`, which PyTorch writes for every batch norm, is used where the
 * layer counts.
 *
 * Weights of a ResBatchNorm that the format has no name for follow from the statistics where
 * they are derived from these (moving_stddev, and the average behind `zeroDebiasMovingMean`),
 * and else stay as they are.
 *
 * Epsilon and momentum are not in the tensors: give the layer the epsilon that it was trained
 * with. The default is 1e-3 here, in Keras and in TensorFlow 1, but 1e-5 in PyTorch. Momentum is
 * the weight of the old value here and in TensorFlow (there also called decay), that of the new
 * one in PyTorch: 0.1 there is 0.9 here. PyTorch, and TensorFlow's fused kernel, keep the unbiased
 * variance: `unbiasedMovingVariance: true` goes on with that.
 *
 * Reads the tensors back once, to check them.
 *
 * @param tensors By name, as `decodeSafetensors` reads them. They stay the caller's.
 * @returns The names of the layers that were set.
 * @throws ValueError if an argument is wrong, if the model has no batch norm, or, listing all
 *     such tensors at once, if one is missing, belongs to no batch norm of the model, has
 *     another shape, is not finite or is a negative variance. Nothing has been changed then.
 */
export async function importStatistics(
  model: tfl.LayersModel,
  tensors: tf.NamedTensorMap,
  options: ImportStatisticsOptions,
): Promise<string[]> {
  const format = formatOf('importStatistics', 'from', options?.from);
  const layers = fileLayers('importStatistics', model, options.names);
  const file = new TensorFile(checkTensors(tensors), format);
  const assignments = layers.map(layer => file.take(layer));
  const faults = [...file.faults, ...file.extras(), ...(await faultyValues(file.taken))];
  if (faults.length > 0) {
    throw new ValueError(
      `importStatistics: the tensors do not fit model '${model.name}':\n  ` +
        `${faults.join('\n  ')}\nNothing was changed.`,
    );
  }
  for (const assignment of assignments) assign(assignment);
  return layers.map(({layer}) => layer.name);
}

function checkTensors(tensors: unknown): tf.NamedTensorMap {
  const isMap =
    typeof tensors === 'object' &&
    tensors !== null &&
    !(tensors instanceof tf.Tensor) &&
    Object.values(tensors).every(tensor => tensor instanceof tf.Tensor);
  if (!isMap) {
    throw new ValueError(
      'importStatistics: tensors must be an object of tensors by name. ' +
        `Received: ${describe(tensors)}`,
    );
  }
  return tensors as tf.NamedTensorMap;
}

/** A tensor of a file. Its name there is `${group}${separator}${weight}`. */
interface FileTensor {
  key: string;
  group: string;
  weight: string;
  tensor: tf.Tensor;
}

/** The tensors of a file, from which layers take theirs. */
class TensorFile {
  readonly faults: string[] = [];
  readonly taken: FileTensor[] = [];
  private readonly tensors: FileTensor[];

  constructor(
    tensors: tf.NamedTensorMap,
    private readonly format: Format,
  ) {
    this.tensors = Object.entries(tensors).map(([key, tensor]) => {
      const name = key.replace(/:0$/, '');
      const at = name.lastIndexOf(format.separator);
      const weight = name.slice(at + 1);
      return {key, tensor, group: name.slice(0, Math.max(at, 0)), weight};
    });
  }

  /** The tensors for a layer; what is missing or misshapen is noted. */
  take({layer, name}: FileLayer): Assignment {
    const groups = this.format.scopes.map(scope => name + scope);
    const isThere = (group: string) => this.tensors.some(t => t.group === group);
    const group = groups.find(isThere) ?? groups[0];
    const values: tf.NamedTensorMap = {};
    for (const [weight, {shape}] of Object.entries(weightsByName(layer))) {
      const there = this.format.weights[weight];
      if (there === undefined) continue;
      const found = this.tensors.find(t => t.group === group && t.weight === there);
      const isOptional = this.format.optional.includes(there);
      if (found === undefined) {
        const key = group + this.format.separator + there;
        if (!isOptional) this.faults.push(`${key} is missing, for layer '${layer.name}'`);
      } else if (!tf.util.arraysEqual(found.tensor.shape, shape)) {
        this.taken.push(found);
        this.faults.push(
          `${found.key} has shape [${found.tensor.shape}], expected [${shape}], for layer ` +
            `'${layer.name}'`,
        );
      } else {
        this.taken.push(found);
        values[weight] = found.tensor;
      }
    }
    return {layer, values};
  }

  /** The tensors of batch norms that no layer took. */
  extras(): string[] {
    const {statistics, optional} = this.format;
    const known = Object.values(this.format.weights);
    const normGroups = new Set(
      [...this.tensors.filter(t => statistics.includes(t.weight)), ...this.taken].map(
        ({group}) => group,
      ),
    );
    const groupsTaken = new Set(this.taken.map(({group}) => group));
    return this.tensors
      .filter(t => normGroups.has(t.group) && known.includes(t.weight))
      .filter(t => !this.taken.includes(t))
      .filter(t => !groupsTaken.has(t.group) || !optional.includes(t.weight))
      .map(({key}) => `${key} is extra: no batch norm of the model has it`);
  }
}

/** What values among those tensors no batch norm can have. */
async function faultyValues(tensors: readonly FileTensor[]): Promise<string[]> {
  const all = await Promise.all(tensors.map(({tensor}) => tensor.data()));
  return tensors.flatMap(({key, weight}, i) => {
    const values = Array.from(all[i]);
    const isNonNegative = /var|stddev/.test(weight);
    const bad = values.findIndex(v => !Number.isFinite(v) || (isNonNegative && v < 0));
    return bad < 0 ? [] : [`${key} holds ${values[bad]}, at index ${bad}`];
  });
}

function assign({layer, values}: Assignment): void {
  tf.tidy(() => {
    const {moving_mean: mean, moving_variance: variance} = values;
    const derived =
      mean === undefined ? {} : consistentStatistics(layer, {mean, variance});
    const all = Object.entries({...derived, ...values});
    const current = weightsByName(layer);
    const cast = all
      .filter(([name]) => current[name] !== undefined)
      .map(([name, tensor]) => [name, tf.cast(tensor, current[name].dtype)]);
    setWeightsByName(layer, Object.fromEntries(cast));
  });
}
