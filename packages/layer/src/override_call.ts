/** The call of a layer in other hands: the one way to make a built-in batch norm behave. */
import type {Layer} from './batch_norms.js';

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

/**
 * Holds a built-in batch norm in inference mode, whatever it is called with.
 *
 * @param isHeld Whether it is held at a call.
 */
export function holdInInferenceMode(layer: Layer, isHeld = () => true): () => void {
  return overrideCall(
    layer,
    call => (inputs, kwargs) =>
      call(inputs, isHeld() ? {...kwargs, training: false} : kwargs),
  );
}
