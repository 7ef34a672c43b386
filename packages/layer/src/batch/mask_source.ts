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
  return layer.inboundNodes.some(({inputTensors}) => carriesMask(inputTensors[0]));
}

function carriesMask({sourceLayer, nodeIndex}: tfl.SymbolicTensor): boolean {
  const {maskZero, returnSequences} = sourceLayer as Layer & {
    maskZero?: boolean;
    returnSequences?: boolean;
  };
  const className = sourceLayer.getClassName();
  if (className === 'Masking' || (className === 'Embedding' && maskZero)) return true;
  // A recurrent layer that returns its last output has used the mask up.
  if (!sourceLayer.supportsMasking || returnSequences === false) return false;
  const node = sourceLayer.inboundNodes[nodeIndex];
  return node?.inputTensors.some(carriesMask) ?? false;
}
