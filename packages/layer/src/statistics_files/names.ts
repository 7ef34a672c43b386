/** What the batch norms of a model, and their weights, are called in a file. */
import type * as tfl from '@tensorflow/tfjs-layers';

import {describe, ValueError} from '../errors.js';
import {batchNorms, type Layer} from '../batch_norms.js';
import {checkModel} from '../models/check_model.js';

/** Where a file comes from or goes to. */
export type StatisticsFormat = 'tf1' | 'keras' | 'pytorch';

export interface Format {
  /** Between a layer's name and that of its weight. */
  separator: string;
  /** What comes after a layer's name: the first is written, all are read. */
  scopes: readonly string[];
  /** The name there of each weight here. A weight that is not among them is not in the file. */
  weights: Readonly<Record<string, string>>;
  /** Those, by their names there, that a file may lack, or have for a layer without them. */
  optional: readonly string[];
  /** Those that only batch norms have. */
  statistics: readonly string[];
}

const named = (...names: string[]) => Object.fromEntries(names.map(name => [name, name]));

const formats: Record<StatisticsFormat, Format> = {
  // tf.contrib.layers puts them in a scope of their own; other code of TensorFlow 1 does not.
  tf1: {
    separator: '/',
    scopes: ['/BatchNorm', ''],
    weights: named('gamma', 'beta', 'moving_mean', 'moving_variance'),
    optional: [],
    statistics: ['moving_mean', 'moving_variance'],
  },
  keras: {
    separator: '/',
    scopes: [''],
    weights: named(
      'gamma',
      'beta',
      'moving_mean',
      'moving_variance',
      'moving_stddev',
      'renorm_mean',
      'renorm_stddev',
      // These are not of Keras, but of ResBatchNorm, and are written for its sake.
      'num_batches_tracked',
      'moving_mean_biased',
      'moving_mean_local_step',
    ),
    optional: ['num_batches_tracked', 'moving_mean_biased', 'moving_mean_local_step'],
    statistics: ['moving_mean', 'moving_variance'],
  },
  pytorch: {
    separator: '.',
    scopes: [''],
    weights: {
      gamma: 'weight',
      beta: 'bias',
      moving_mean: 'running_mean',
      moving_variance: 'running_var',
      num_batches_tracked: 'num_batches_tracked',
    },
    // PyTorch counts for every batch norm, and writes it since version 0.4.1.
    optional: ['num_batches_tracked'],
    statistics: ['running_mean', 'running_var'],
  },
};

/** The names of layers in the file: by their names here, or a function from these. */
export type LayerNames =
  Readonly<Record<string, string>> | ((layerName: string) => string);

export interface FileLayer {
  layer: Layer;
  /** Its name in the file. */
  name: string;
}

/** @throws ValueError if it is none of the formats. */
export function formatOf(caller: string, argument: string, format: unknown): Format {
  const known = Object.keys(formats);
  if (typeof format !== 'string' || !known.includes(format)) {
    const names = known.map(name => `'${name}'`).join(', ');
    throw new ValueError(
      `${caller}: ${argument} must be one of ${names}. Received: ${describe(format)}`,
    );
  }
  return formats[format as keyof typeof formats];
}

/**
 * @throws ValueError if it is not a model or has no batch norm, if the names are of the wrong
 *     type or for a layer that is not there, or if two layers have the same name.
 */
export function fileLayers(
  caller: string,
  model: tfl.LayersModel,
  names: LayerNames = {},
): FileLayer[] {
  checkModel(caller, model);
  const layers = batchNorms(model).map(({layer}) => layer);
  if (layers.length === 0) {
    throw new ValueError(
      `${caller}: model must have a batch norm. Received: the model '${model.name}', which ` +
        'has none',
    );
  }
  const nameOf = typeof names === 'function' ? names : fromRecord(caller, names, layers);
  const named = layers.map(layer => ({layer, name: nameOf(layer.name)}));
  checkNames(caller, named);
  return named;
}

function fromRecord(
  caller: string,
  names: Readonly<Record<string, string>>,
  layers: readonly Layer[],
): (layerName: string) => string {
  if (typeof names !== 'object' || names === null || Array.isArray(names)) {
    throw new ValueError(
      `${caller}: names must be an object from the names of layers to their names in the ` +
        `file, or a function. Received: ${describe(names)}`,
    );
  }
  const unknown = Object.keys(names).filter(name => !layers.some(l => l.name === name));
  if (unknown.length > 0) {
    throw new ValueError(
      `${caller}: names must be for batch norms of the model, which are ` +
        `${layers.map(({name}) => `'${name}'`).join(', ')}. Received: ${describe(unknown)}`,
    );
  }
  return name => (Object.hasOwn(names, name) ? names[name] : name);
}

function checkNames(caller: string, layers: readonly FileLayer[]): void {
  const owners = new Map<string, Layer>();
  for (const {layer, name} of layers) {
    if (typeof name !== 'string' || name === '') {
      throw new ValueError(
        `${caller}: names must give each layer a string that is not empty. ` +
          `Received: ${describe(name)} for '${layer.name}'`,
      );
    }
    const other = owners.get(name);
    if (other !== undefined) {
      throw new ValueError(
        `${caller}: each batch norm must have a name of its own in the file. Received: ` +
          `'${name}' for '${other.name}' and '${layer.name}'`,
      );
    }
    owners.set(name, layer);
  }
}
