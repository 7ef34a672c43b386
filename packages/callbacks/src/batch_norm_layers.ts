/**
 * Finds the batch-norm layers of a model, with where they are and whether they are frozen.
 *
 * Layers are told by class name and structure, never by `instanceof`: a program may hold two
 * copies of tfjs-layers, and the layers of one are no instances of the other's classes.
 */
import type * as tfl from '@tensorflow/tfjs-layers';

import {describe, ValueError} from './errors.js';

export type Layer = tfl.layers.Layer;

/** The part of `ResBatchNorm` that counts its update ops. */
export interface UpdateCounts {
  readonly hasMovingStatistics: boolean;
  /** Update ops that training calls have made. */
  readonly updateOpCount: number;
  /** Update ops that have run. */
  readonly updateCount: number;
  /** How many of those left the statistics alone, because the batch's were not finite. */
  readSkippedUpdateCount(): Promise<number>;
}

export interface BatchNormLayer {
  layer: Layer;
  /** The names of the enclosing models and layers, and the layer's own: `encoder/bn_1`. */
  path: string;
  /** What the layer is inside of, from the model inwards; several if it is shared. */
  enclosing: Layer[][];
}

const BUILT_IN = 'BatchNormalization';
const OWN = 'ResBatchNorm';

export function isBuiltIn(layer: Layer): boolean {
  return layer.getClassName() === BUILT_IN;
}

/** The layer's counters if it has them, as `ResBatchNorm` does and the built-in does not. */
export function updateCounts(layer: Layer): UpdateCounts | undefined {
  const counts = layer as Layer & Partial<UpdateCounts>;
  return typeof counts.updateCount === 'number' ? (counts as UpdateCounts) : undefined;
}

/** The layer's weight of that name, such as 'moving_mean'; none before the layer is built. */
export function findWeight(layer: Layer, name: string): tfl.LayerVariable | undefined {
  return layer.weights.find(
    ({originalName}) => originalName === name || originalName.endsWith(`/${name}`),
  );
}

/**
 * The batch-norm layers of the model, in the order of its layers. One that is shared is listed
 * once, with the first path that leads to it.
 *
 * @throws ValueError if `model` is no layers model, or has no batch-norm layer.
 */
export function findBatchNormLayers(
  model: tfl.LayersModel,
  where: string,
): BatchNormLayer[] {
  if (!isLayer(model) || !Array.isArray(model.layers)) {
    throw new ValueError(
      `${where}: argument 'model' must be a tf.LayersModel. Received: ${describe(model)}`,
    );
  }
  const found = new Map<Layer, BatchNormLayer>();
  visit(model, [], found);
  if (found.size === 0) {
    throw new ValueError(
      `${where}: the model '${model.name}' must have a batch-norm layer with moving ` +
        `statistics (${OWN} or tf.layers.batchNormalization). Received: a model with none ` +
        `among its ${model.layers.length} layers`,
    );
  }
  return [...found.values()];
}

/**
 * Whether the layer is frozen now.
 *
 * A `ResBatchNorm` knows: its `trainable` follows the models around it. The built-in layer's
 * does not: `model.trainable = false` only flips the flags of gamma and beta, and only those
 * of the model's direct layers. If the built-in is shared, one trainable use is enough to
 * train it.
 */
export function isFrozen({layer, enclosing}: BatchNormLayer): boolean {
  if (isSwitchedOff(layer)) return true;
  if (!isBuiltIn(layer)) return false;
  if (enclosing.every(layers => layers.some(isSwitchedOff))) return true;
  const trained = ['gamma', 'beta'].flatMap(name => findWeight(layer, name) ?? []);
  return trained.length > 0 && trained.every(weight => !weight.trainable);
}

function isSwitchedOff(layer: Layer): boolean {
  return layer.trainable === false;
}

function visit(
  layer: Layer,
  enclosing: Layer[],
  found: Map<Layer, BatchNormLayer>,
): void {
  // A layer of the user's own may hold a reference back to what it is part of.
  if (enclosing.includes(layer)) return;
  if ([BUILT_IN, OWN].includes(layer.getClassName())) {
    // One without moving statistics has no update ops.
    if ((layer as Layer & Partial<UpdateCounts>).hasMovingStatistics === false) return;
    const known = found.get(layer);
    if (known) {
      known.enclosing.push(enclosing);
      return;
    }
    // The model itself is not part of the path.
    const path = [...enclosing.slice(1), layer].map(({name}) => name).join('/');
    found.set(layer, {layer, path, enclosing: [enclosing]});
    return;
  }
  for (const inner of innerLayers(layer)) visit(inner, [...enclosing, layer], found);
}

/**
 * The layers that a model, a wrapper (`TimeDistributed`, `Bidirectional`, an RNN around its
 * cell) or a layer of the user's own holds in its properties, alone or in an array.
 */
function innerLayers(outer: Layer): Layer[] {
  const {layers, forwardLayer, backwardLayer} = outer as Layer & Record<string, unknown>;
  if (Array.isArray(layers)) return layers.filter(isLayer);
  // A Bidirectional's `layer` is the pattern that both directions were made from: never run.
  const held = forwardLayer ? [forwardLayer, backwardLayer] : Object.values(outer);
  return held.flat().filter(isLayer);
}

function isLayer(value: unknown): value is Layer {
  const layer = value as Partial<Layer> | null | undefined;
  return typeof layer?.getClassName === 'function' && typeof layer.call === 'function';
}
