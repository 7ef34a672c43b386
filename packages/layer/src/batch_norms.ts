/**
 * The batch norms of a model: which there are, where they are, and whether they train. All of
 * this project asks here.
 *
 * Layers are told by brand and by class name, never by `instanceof`: a program may hold two
 * copies of this package or of tfjs-layers, and the layers of one are not instances of the
 * other's classes.
 */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

export type Layer = tfl.layers.Layer;

/** Says that a layer is a ResBatchNorm; its subclasses inherit it. */
export const RES_BATCH_NORM = Symbol.for('@resbatchnorm/layer/ResBatchNorm');

/** Leads from the model that a Sequential makes for itself back to the Sequential. */
export const SEQUENTIAL = Symbol.for('@resbatchnorm/layer/sequential');

/** What ResBatchNorm tells of its update ops, and the built-in layer does not. */
export interface UpdateCounts {
  /** Whether there are moving statistics, and so update ops. */
  readonly hasMovingStatistics: boolean;
  /** Update ops that training calls have made. */
  readonly updateOpCount: number;
  /** Update ops that have run. */
  readonly updateCount: number;
  /** How many of those left the statistics alone, because the batch's were not finite. */
  readSkippedUpdateCount(): Promise<number>;
  /** How many values each channel had in the last training call; null where not known. */
  readonly lastValueCount: number | null;
}

/** Whether it is a ResBatchNorm or of a subclass of it, also one of another copy. */
export function isResBatchNorm(layer: Layer): layer is Layer & UpdateCounts {
  return RES_BATCH_NORM in layer;
}

/** Whether it is a tf.layers.batchNormalization or of a subclass of it. */
export function isBuiltInBatchNorm(layer: Layer): boolean {
  return classesOf(layer).some(({className}) => className === 'BatchNormalization');
}

/**
 * Whether a batch norm is of a subclass that calls itself otherwise, so that what it computes
 * is not known.
 */
export function isCalledOtherwise(layer: Layer): boolean {
  const classes = classesOf(layer);
  const names = ['ResBatchNorm', 'BatchNormalization'];
  const base = classes.findIndex(
    ({className}, i) =>
      names.includes(className!) && classes[i + 1].className !== className,
  );
  return classes
    .slice(0, Math.max(base, 0))
    .some(({prototype}) =>
      ['call', 'apply'].some(method => Object.hasOwn(prototype, method)),
    );
}

interface LayerClass {
  className?: string;
  prototype: object;
}

/** The class of a layer and those that it extends, from it upwards. */
function classesOf(layer: Layer): LayerClass[] {
  const classes: LayerClass[] = [];
  let next = layer.constructor as unknown as LayerClass | null;
  for (; next !== null; next = Object.getPrototypeOf(next)) classes.push(next);
  return classes;
}

export function isBatchNorm(layer: Layer): boolean {
  return isResBatchNorm(layer) || isBuiltInBatchNorm(layer);
}

/** Whether the layer keeps moving statistics: all but a ResBatchNorm that was told not to. */
export function hasMovingStatistics(layer: Layer): boolean {
  return isResBatchNorm(layer) ? layer.hasMovingStatistics : isBuiltInBatchNorm(layer);
}

/** What both classes have as fields, and their common type does not tell of. */
interface NormFields {
  axis: number | [number];
  epsilon: number;
  /** Null for the plain average over all batches. */
  momentum: number | null;
  unbiasedMovingVariance?: boolean;
  synchronized?: boolean;
}

/** What a batch norm of either class goes by. */
export function normFields(layer: Layer): NormFields & {axis: number} {
  const {axis, epsilon, momentum, unbiasedMovingVariance, synchronized} = layer as Layer &
    NormFields;
  return {axis: soleOf(axis), epsilon, momentum, unbiasedMovingVariance, synchronized};
}

/** tf.keras of TensorFlow 2 writes the axis as a list of one, which tfjs-layers takes. */
export function soleOf<T>(value: T | [T]): T {
  return Array.isArray(value) && value.length === 1 ? value[0] : (value as T);
}

/** A batch norm of a model. */
export interface BatchNorm {
  layer: Layer;
  /**
   * What it is inside of, from the model inwards; several lists if it is shared. The model
   * itself is the first of each.
   */
  holders: readonly (readonly Layer[])[];
  /** The names of what is around it in the model, and its own: `encoder/bn_1`; as `holders`. */
  paths: readonly string[];
}

/**
 * The batch norms of a model, of either class, each once, in the order of the layers: in models
 * and Sequentials, in wrappers, in cells of recurrent layers, and in layers of the user's own,
 * which may hold them in a property, alone, or in arrays, maps, sets and plain objects.
 */
export function batchNorms(model: Layer): BatchNorm[] {
  const found = new Map<Layer, Layer[][]>();
  const visit = (layer: Layer, around: Layer[]) => {
    // A layer of the user's own may refer back to what it is part of.
    if (around.includes(layer)) return;
    if (!isBatchNorm(layer)) {
      for (const inner of innerLayers(layer)) visit(inner, [...around, layer]);
      return;
    }
    const holders = found.get(layer);
    if (holders === undefined) found.set(layer, [around]);
    else holders.push(around);
  };
  visit(outermost(model), []);
  return Array.from(found, ([layer, holders]) => {
    const pathOf = ([, ...inner]: Layer[]) => [...inner, layer].map(({name}) => name);
    return {layer, holders, paths: holders.map(around => pathOf(around).join('/'))};
  });
}

/** All ResBatchNorms in a layer, however deep, each once. */
export function resBatchNorms(layer: Layer): (Layer & UpdateCounts)[] {
  const visited = new Set<Layer>();
  // Without the paths, of which there may be many, each layer is visited once.
  const visit = (inner: Layer): void => {
    if (visited.has(inner)) return;
    visited.add(inner);
    if (!isBatchNorm(inner)) innerLayers(inner).forEach(visit);
  };
  visit(outermost(layer));
  return [...visited].filter(isResBatchNorm);
}

/**
 * `fit` of a Sequential trains a model of its own making, in which the layers of a model that
 * came first are the Sequential's own; what they were in, only the Sequential knows.
 */
function outermost(model: Layer): Layer {
  return (model as Layer & {[SEQUENTIAL]?: Layer})[SEQUENTIAL] ?? model;
}

/** The layers that a layer is made of, each once. */
export function innerLayers(layer: Layer): Layer[] {
  const {layers, inputLayers, forwardLayer, backwardLayer} = layer as Layer &
    Record<string, unknown>;
  // A model has them in several lists. A layer of the user's own has no inputLayers, and may hold
  // others beside its layers.
  if (Array.isArray(layers) && Array.isArray(inputLayers)) return layers;
  // A Bidirectional's `layer` is the pattern that both directions were made from: never run.
  const held = forwardLayer ? [forwardLayer, backwardLayer] : Object.values(layer);
  return [...layersIn(held, new Set())];
}

function* layersIn(value: unknown, seen: Set<unknown>): Generator<Layer> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (isLayer(value)) yield value;
  else for (const part of partsOf(value)) yield* layersIn(part, seen);
}

/** What is in an array, a map, a set or a plain object; nothing of any other object. */
function partsOf(value: object): Iterable<unknown> {
  // By their names: those of another realm are not instances of this one's classes.
  const prototype = Object.getPrototypeOf(value);
  const kind = prototype?.constructor?.name;
  if (Array.isArray(value) || kind === 'Set') return value as Iterable<unknown>;
  if (kind === 'Map') return (value as Map<unknown, unknown>).values();
  return prototype === null || kind === 'Object' ? Object.values(value) : [];
}

function isLayer(value: unknown): value is Layer {
  const layer = value as Partial<Layer> | null | undefined;
  return typeof layer?.getClassName === 'function' && typeof layer.call === 'function';
}

/**
 * Whether a batch norm trains: whether its moving statistics are to follow the batches, and
 * gamma and beta the gradients.
 *
 * A ResBatchNorm says so by its own `trainable`, which what is around it sets, the last word
 * winning. The built-in layer is told nothing: it trains if it is trainable itself and there is
 * a use of it in which all that is around it is; of its weights, one that is trained is enough.
 */
export function isTrained({layer, holders}: BatchNorm): boolean {
  if (!layer.trainable) return false;
  if (isResBatchNorm(layer)) return true;
  const isUsed = holders.some(around => around.every(({trainable}) => trainable));
  const affine = ['gamma', 'beta'].flatMap(name => findWeight(layer, name) ?? []);
  return isUsed && (affine.length === 0 || affine.some(({trainable}) => trainable));
}

/** What is around a batch norm and has `trainable === false`, if that is so in each use. */
export function frozenHolder({holders}: BatchNorm): Layer | undefined {
  const frozen = holders.map(around => around.find(({trainable}) => !trainable));
  return frozen.every(layer => layer !== undefined) ? frozen[0] : undefined;
}

/** The name of a weight within its layer, as `gamma`. */
export function weightName({originalName}: tfl.LayerVariable): string {
  return originalName.slice(originalName.lastIndexOf('/') + 1);
}

/** The layer's weight of that name, as 'moving_mean'; none before the layer is built. */
export function findWeight(layer: Layer, name: string): tfl.LayerVariable | undefined {
  return layer.weights.find(weight => weightName(weight) === name);
}

/** The weights of a batch norm that are statistics of batches: all but gamma and beta. */
export function statisticsOf(layer: Layer): tfl.LayerVariable[] {
  return layer.weights.filter(weight => !['gamma', 'beta'].includes(weightName(weight)));
}

/** The weights of a layer by their names within it. */
export function weightsByName(layer: Layer): Record<string, tf.Tensor> {
  return Object.fromEntries(
    layer.weights.map(weight => [weightName(weight), weight.read()]),
  );
}

/** Sets those weights of a layer that are given, by their names within it. */
export function setWeightsByName(
  layer: Layer,
  values: Readonly<Record<string, tf.Tensor>>,
): void {
  tf.tidy(() => {
    for (const weight of layer.weights) {
      const value = values[weightName(weight)];
      if (value !== undefined) weight.write(value);
    }
  });
}
