/** What follows the norm: the end of a residual block, y = activation(norm + shortcut). */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {activate, activationGrad} from '../kernels/composed/kernels.js';
import {isFusedActivation, type FusedActivation} from '../kernels/kernel.js';

/** The activations of tfjs-layers, which does not export the type of their names. */
export type ActivationName = NonNullable<
  Parameters<typeof tfl.layers.activation>[0]
>['activation'];

/** y = activation(x + shortcut), where the shortcut may be null. */
export interface Epilogue {
  /** The activation that a kernel of the norm applies, after adding the shortcut. */
  fused: FusedActivation;
  /** What is left to do after that. */
  afterFused(x: tf.Tensor): tf.Tensor;
  /** All of it, for a norm that is not one kernel. */
  apply(x: tf.Tensor, shortcut: tf.Tensor | null): tf.Tensor;
}

/** The epilogue by the name that its activation has in tfjs-layers. */
export function epilogueOf(name: ActivationName): Epilogue {
  if (isFusedActivation(name)) {
    return {
      fused: name,
      afterFused: x => x,
      apply: (x, shortcut) => addAndActivate(x, shortcut, name),
    };
  }
  // tfjs-layers exports its activations in the form of a layer only.
  const layer = tfl.layers.activation({activation: name, name: 'activation'});
  const activation = (x: tf.Tensor) => layer.call(x, {}) as tf.Tensor;
  return {
    fused: 'linear',
    afterFused: activation,
    apply: (x, shortcut) => activation(addAndActivate(x, shortcut, 'linear')),
  };
}

/**
 * With one gradient for x and the shortcut, for which only y is kept: the next layer keeps it
 * anyway.
 */
function addAndActivate(
  x: tf.Tensor,
  shortcut: tf.Tensor | null,
  activation: FusedActivation,
): tf.Tensor {
  if (activation === 'linear' && shortcut === null) return x;
  const op = tf.customGrad((...args) => {
    const inputs = args.slice(0, -1) as tf.Tensor[];
    const save = args.at(-1) as tf.GradSaveFunc;
    const [flatX, flatShortcut] = inputs.map(flat);
    const value = tf.reshape(activate(flatX, flatShortcut, activation), x.shape);
    const isLinear = activation === 'linear';
    save(isLinear ? [] : [value]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, [y]: tf.Tensor[]) => {
        const dz = isLinear ? dy : activationGrad(flat(dy), flat(y), activation);
        return inputs.map(() => tf.reshape(dz, x.shape));
      },
    };
  });
  return shortcut === null ? op(x) : op(x, shortcut);
}

/** Not every backend adds tensors of a high rank. */
function flat(x: tf.Tensor): tf.Tensor {
  return tf.reshape(x, [x.size]);
}
