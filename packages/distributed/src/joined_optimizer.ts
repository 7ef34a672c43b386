/** An optimizer that steps by the gradients of all replicas together. */
import {
  dispose,
  type NamedTensorMap,
  type Optimizer,
  type Tensor,
} from '@tensorflow/tfjs-core';

type Gradients = Parameters<Optimizer['applyGradients']>[0];
type Apply = Optimizer['applyGradients'];

/** Joins tensors that every replica has; the caller disposes of what it gives. */
export type Join = (gradients: Tensor[]) => Tensor[];

const joined = new WeakSet<Optimizer>();

/**
 * Makes an optimizer join the gradients before it applies them. What is put in the place of its
 * `applyGradients` later, as by fuseUpdates of @resbatchnorm/native, gets them joined, too.
 */
export function joinGradients(optimizer: Optimizer, join: Join): void {
  if (joined.has(optimizer)) return;
  joined.add(optimizer);
  let apply: Apply = optimizer.applyGradients.bind(optimizer);
  const applyJoined: Apply = gradients => {
    const named = asList(gradients);
    const tensors = join(named.map(({tensor}) => tensor));
    try {
      apply(named.map(({name}, i) => ({name, tensor: tensors[i]})));
    } finally {
      dispose(tensors);
    }
  };
  Object.defineProperty(optimizer, 'applyGradients', {
    get: () => applyJoined,
    set: (replacement: Apply) => (apply = replacement),
    configurable: true,
    enumerable: false,
  });
}

/** Those of variables that the loss does not depend on are left out, as the optimizer does. */
function asList(gradients: Gradients): {name: string; tensor: Tensor}[] {
  const list = Array.isArray(gradients)
    ? gradients
    : Object.entries(gradients as NamedTensorMap).map(([name, tensor]) => ({
        name,
        tensor,
      }));
  return list.filter(({tensor}) => tensor != null);
}
