/** A layer like another, and the weights of one in another. */
import * as tf from '@tensorflow/tfjs-core';

import type {Layer} from '../batch_norms.js';
import {ValueError} from '../errors.js';

interface LayerClass {
  fromConfig(cls: LayerClass, config: tf.serialization.ConfigDict): Layer;
}

/** Arguments that layers of tfjs-layers 4.22 have as fields and leave out of their config. */
const forgotten: Record<string, string> = {
  Conv1D: 'dataFormat',
  SeparableConv2D: 'depthMultiplier',
};

/** The config of a layer, with all of its arguments. */
export function fullConfig(layer: Layer): tf.serialization.ConfigDict {
  const config = layer.getConfig();
  const key = forgotten[layer.getClassName()];
  if (key === undefined) return config;
  const fields = layer as unknown as tf.serialization.ConfigDict;
  return {...config, [key]: fields[key]};
}

/**
 * A new layer of the same class from the same config, with some of it changed. It has no
 * weights before it is built.
 */
export function copyLayer(
  layer: Layer,
  changes: tf.serialization.ConfigDict = {},
): Layer {
  const cls = layer.constructor as unknown as LayerClass;
  const copy = cls.fromConfig(cls, {...fullConfig(layer), ...changes});
  // All weights are about to be set, so none is drawn at random, which takes long.
  copy.setFastWeightInitDuringBuild(true);
  return copy;
}

/** Sets the weights of a layer to those of another that it is a copy of. */
export function copyWeights(from: Layer, to: Layer): void {
  const namesOf = (layer: Layer) => layer.weights.map(({originalName}) => originalName);
  const [names, wanted] = [namesOf(from), namesOf(to)];
  // A copy has them in the same order, unless some were frozen one by one.
  const isSameOrder = names.every((name, i) => name === wanted[i]);
  const sources = isSameOrder
    ? from.weights
    : wanted.flatMap(name => from.weights[names.indexOf(name)] ?? []);
  if (sources.length !== from.weights.length || sources.length !== wanted.length) {
    throw new ValueError(
      `layer '${from.name}' can't be copied: the config that it gives makes a layer with ` +
        `the weights ${wanted.join(', ')}, but it has ${names.join(', ')}`,
    );
  }
  to.setWeights(sources.map(weight => weight.read()));
}
