import type * as tfl from '@tensorflow/tfjs-layers';

type Layer = tfl.layers.Layer;
export type Call = Layer['call'];

/**
 * Puts another `call` in the place of a layer's own, and returns what undoes that. Wrappers and
 * models call their layers by it, so it is heard wherever the layer is.
 */
export function overrideCall(layer: Layer, call: (original: Call) => Call): () => void {
  const previous = Object.getOwnPropertyDescriptor(layer, 'call');
  const original = layer.call.bind(layer);
  Object.defineProperty(layer, 'call', {
    configurable: true,
    writable: true,
    value: call(original),
  });
  return () => {
    if (previous === undefined) delete (layer as {call?: Call}).call;
    else Object.defineProperty(layer, 'call', previous);
  };
}
