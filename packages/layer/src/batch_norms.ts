/** A model as a tree of layers: models hold layers, and so do wrappers and recurrent layers. */
import type * as tfl from '@tensorflow/tfjs-layers';

import type {ResBatchNorm} from './res_batch_norm.js';

type Layer = tfl.layers.Layer;
type Model = tfl.LayersModel;

/** The layers that a layer is made of: those of a model, of a wrapper, of an RNN. */
export function children(layer: Layer): Layer[] {
  const {
    layers,
    layer: wrapped,
    forwardLayer,
    backwardLayer,
    cell,
    cells,
  } = layer as unknown as Record<string, Layer> & {layers?: Layer[]; cells?: Layer[]};
  const all = [
    ...(layers ?? []),
    ...(cells ?? []),
    wrapped,
    forwardLayer,
    backwardLayer,
    cell,
  ];
  return all.filter(child => child != null);
}

// By name, as another copy of this module may have made the layer.
export function isResBatchNorm(layer: Layer): layer is ResBatchNorm {
  return layer.getClassName() === 'ResBatchNorm';
}

/** Whether it is tf.layers.batchNormalization. */
export function isBuiltInBatchNorm(layer: Layer): boolean {
  return layer.getClassName() === 'BatchNormalization';
}

export function isBatchNorm(layer: Layer): boolean {
  return isResBatchNorm(layer) || isBuiltInBatchNorm(layer);
}

/** All ResBatchNorm layers in a layer, however deep. */
export function resBatchNorms(layer: Layer): ResBatchNorm[] {
  return children(layer).flatMap(child =>
    isResBatchNorm(child) ? [child] : resBatchNorms(child),
  );
}

/** A batch norm of a model, and whether it, or a model around it, has `trainable = false`. */
export interface BatchNormInModel {
  layer: Layer;
  isFrozen: boolean;
}

/** All batch norms in a model, of either kind and however deep, each once. */
export function batchNorms(model: Model): BatchNormInModel[] {
  const found = new Map<Layer, boolean>();
  const visit = (layer: Layer, isFrozenAround: boolean) => {
    const isFrozen = isFrozenAround || !layer.trainable;
    if (isBatchNorm(layer)) {
      found.set(layer, isFrozen || (found.get(layer) ?? false));
    } else {
      for (const child of children(layer)) visit(child, isFrozen);
    }
  };
  visit(model, false);
  return Array.from(found, ([layer, isFrozen]) => ({layer, isFrozen}));
}
