/**
 * Whether a mask that came with a call belongs to the input. tfjs-layers hands one object of
 * arguments to all layers of a model and never takes a mask out of it, so a layer may be
 * called with a mask that another layer was given, even one of the right shape.
 */
import type * as tfl from '@tensorflow/tfjs-layers';

type Layer = tfl.layers.Layer;

/** Whether a layer is part of a model's graph, by which it may be called. */
export function isInGraph(layer: Layer): boolean {
  return layer.inboundNodes.length > 0;
}

/** Whether in the graph a mask reaches the (first) input of the layer. */
export function isMaskedInGraph(layer: Layer): boolean {
  const seen = new Set<object>();
  return layer.inboundNodes.some(({inputTensors}) => carriesMask(inputTensors[0], seen));
}

/** Asks each node once: residual networks have more paths than can be walked. */
function carriesMask(
  {sourceLayer, nodeIndex}: tfl.SymbolicTensor,
  seen: Set<object>,
): boolean {
  const {maskZero, returnSequences} = sourceLayer as Layer & {
    maskZero?: boolean;
    returnSequences?: boolean;
  };
  const className = sourceLayer.getClassName();
  if (className === 'Masking' || (className === 'Embedding' && maskZero)) return true;
  // A recurrent layer that returns its last output has used the mask up.
  if (!sourceLayer.supportsMasking || returnSequences === false) return false;
  const node = sourceLayer.inboundNodes[nodeIndex];
  if (node === undefined || seen.has(node)) return false;
  seen.add(node);
  return node.inputTensors.some(tensor => carriesMask(tensor, seen));
}
