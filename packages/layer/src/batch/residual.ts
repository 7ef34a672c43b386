import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import type {ActivationName} from '../res_batch_norm_args.js';

/** An activation whose derivative is known from its value. */
interface ClosedForm {
  of(z: tf.Tensor): tf.Tensor;
  /** The derivative at z, times dy, from y = activation(z). */
  gradient(dy: tf.Tensor, y: tf.Tensor): tf.Tensor;
}

const isPositive = (y: tf.Tensor) => tf.cast(tf.greater(y, 0), 'float32');

const closedForms: Record<string, ClosedForm> = {
  linear: {of: tf.clone, gradient: tf.clone},
  relu: {of: tf.relu, gradient: (dy, y) => tf.mul(dy, isPositive(y))},
  relu6: {
    of: tf.relu6,
    gradient: (dy, y) =>
      tf.mul(dy, tf.mul(isPositive(y), tf.cast(tf.less(y, 6), 'float32'))),
  },
};

/** y = activation(x + shortcut), the end of a residual block; the shortcut may be null. */
export type ResidualActivation = (x: tf.Tensor, shortcut: tf.Tensor | null) => tf.Tensor;

/** The residual activation by the name that the activation has in tfjs-layers. */
export function residualActivation(name: ActivationName): ResidualActivation {
  if (Object.hasOwn(closedForms, name)) {
    return (x, shortcut) => addAndActivate(x, shortcut, closedForms[name]);
  }
  // tfjs-layers exports its activations in the form of a layer only.
  const layer = tfl.layers.activation({activation: name, name: 'activation'});
  return (x, shortcut) =>
    layer.call(shortcut === null ? x : tf.add(x, shortcut), {}) as tf.Tensor;
}

/**
 * With one gradient for x and the shortcut, for which only y is kept: the next layer keeps it
 * anyway.
 */
function addAndActivate(
  x: tf.Tensor,
  shortcut: tf.Tensor | null,
  {of, gradient}: ClosedForm,
): tf.Tensor {
  if (shortcut === null && of === closedForms.linear.of) return x;
  const op = tf.customGrad((...args) => {
    const inputs = args.slice(0, -1) as tf.Tensor[];
    const save = args.at(-1) as tf.GradSaveFunc;
    const y = of(inputs.length === 2 ? tf.add(inputs[0], inputs[1]) : inputs[0]);
    save([y]);
    return {
      value: y,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const dz = gradient(dy, saved[0]);
        return inputs.map(() => tf.clone(dz));
      },
    };
  });
  return shortcut === null ? op(x) : op(x, shortcut);
}
