/**
 * What of a model is frozen. A saved topology tells that of layers, but neither of models,
 * which freeze what is in them, nor of single weights.
 */
import type * as tfl from '@tensorflow/tfjs-layers';

type Layer = tfl.layers.Layer;

export interface TrainableFlags {
  /** Paths of the models with `trainable === false`; '' is the outermost. */
  frozenModels: string[];
  /** Names of the weights that training changes. */
  trainableWeights: string[];
}

export function readTrainableFlags(model: tfl.LayersModel): TrainableFlags {
  return {
    frozenModels: [...modelsOf(model)]
      .filter(([, {trainable}]) => trainable === false)
      .map(([path]) => path),
    trainableWeights: model.weights
      .filter(({trainable}) => trainable)
      .map(({originalName}) => originalName),
  };
}

export function writeTrainableFlags(
  model: tfl.LayersModel,
  {frozenModels, trainableWeights}: TrainableFlags,
): void {
  const frozen = new Set(frozenModels);
  for (const [path, inner] of modelsOf(model)) {
    if (frozen.has(path)) inner.trainable = false;
  }
  // The models' flags have set those of the weights.
  const trainable = new Set(trainableWeights);
  for (const weight of model.weights)
    weight.trainable = trainable.has(weight.originalName);
}

/** The model and those inside of it, by the names that lead to them. */
function* modelsOf(model: Layer, path = ''): Generator<[string, Layer]> {
  const {layers} = model as Layer & {layers?: unknown};
  if (!Array.isArray(layers)) return;
  yield [path, model];
  for (const layer of layers as Layer[]) yield* modelsOf(layer, `${path}/${layer.name}`);
}
