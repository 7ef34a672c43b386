/** An optimizer that steps by the gradients of all replicas together. */
import {
  dispose,
  type NamedTensorMap,
  type Optimizer,
  type Tensor,
} from '@tensorflow/tfjs-core';

type Gradients = Parameters<Optimizer['applyGradients']>[0];
type Apply = Optimizer['applyGradients'];

/** The gradient of a variable, by the variable's name. */
export interface NamedGradient {
  name: string;
  tensor: Tensor;
}

/** Joins tensors that every replica has; the caller disposes of what it gives. */
export type Join = (gradients: NamedGradient[]) => Tensor[];

const joined = new WeakSet<Optimizer>();

/**
 * Makes an optimizer join the gradients before it applies them. What is put in the place of its
 * `applyGradients` later, as by fuseUpdates of @resbatchnorm/native, gets them joined, too.
 */
export function joinGradients(optimizer: Optimizer, join: Join): void {
  if (joined.has(optimizer)) return;
  joined.add(optimizer);
  const before: Apply = optimizer.applyGradients.bind(optimizer);
  let apply = before;
  let isApplying = false;
  const applyJoined: Apply = gradients => {
    // What stands in its place now may leave a step to what it found here.
    if (isApplying) return before(gradients);
    const list = asList(gradients);
    // Those of variables that the loss does not depend on stay in the list: an optimizer finds
    // the state of a variable by its place there.
    const present = list.filter(({tensor}) => tensor != null);
    const sums = join(present);
    isApplying = true;
    try {
      apply(
        list.map(gradient => {
          const i = present.indexOf(gradient);
          return i < 0 ? gradient : {name: gradient.name, tensor: sums[i]};
        }),
      );
    } finally {
      isApplying = false;
      dispose(sums);
    }
  };
  Object.defineProperty(optimizer, 'applyGradients', {
    get: () => applyJoined,
    set: (replacement: Apply) => (apply = replacement),
    configurable: true,
    enumerable: false,
  });
}

function asList(gradients: Gradients): NamedGradient[] {
  if (Array.isArray(gradients)) return gradients;
  return Object.entries(gradients as NamedTensorMap).map(([name, tensor]) => ({
    name,
    tensor,
  }));
}
