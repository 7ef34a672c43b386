/**
 * The kernels by custom ops of TensorFlow, written for them in C++: `resbatchnorm-native setup`
 * builds them into the addon of tfjs-node. Each kernel is one op, for any shape and axis. The ops
 * are for the CPU; of the moving statistics there is a function besides, for any device.
 */
import {env, type TensorInfo} from '@tensorflow/tfjs-core';

import {
  followed,
  type AllKernels,
  type Kernels,
  type MovingStatisticsInputs,
  type NormAttrs,
} from '../kernel.js';
import {sharedVector, type OpAttr, type TensorFlowBackend} from './ops.js';

/** Whether they are used where they are there; off, TensorFlow's own ops are. On by default. */
const CUSTOM_OPS_FLAG = 'RES_BATCH_NORM_CUSTOM_OPS';
env().registerFlag(CUSTOM_OPS_FLAG, () => true);

export function hasCustomOps(backend: TensorFlowBackend): boolean {
  return !backend.isUsingGpuDevice && has(backend, 'ResBatchNormTraining');
}

const known = new WeakMap<TensorFlowBackend, Record<string, boolean>>();

/** Whether there is an op or a function of that name, and custom ones are to be used. */
function has(backend: TensorFlowBackend, name: string): boolean {
  if (!env().getBool(CUSTOM_OPS_FLAG)) return false;
  let names = known.get(backend);
  if (names === undefined) known.set(backend, (names = {}));
  return (names[name] ??= isRegistered(backend, name));
}

/** TensorFlow tells only by an error: there is none, or it was called without inputs. */
function isRegistered(backend: TensorFlowBackend, name: string): boolean {
  try {
    backend.executeMultipleOutputs(name, [], [], 3);
  } catch (error) {
    return !/not registered|not found/i.test(String(error));
  }
  return true;
}

export const customOps: AllKernels = {
  training({x, gamma, beta, shortcut}, attrs, kernelBackend) {
    const backend = kernelBackend as unknown as TensorFlowBackend;
    return backend.executeMultipleOutputs(
      'ResBatchNormTraining',
      [
        ...normAttrs(backend, attrs),
        ...count(backend, 'shortcuts', shortcut !== undefined),
      ],
      [x, gamma, beta, ...optional(shortcut)],
      3,
    );
  },

  trainingGrad({dy, x, gamma, mean, variance, y}, attrs, kernelBackend) {
    const backend = kernelBackend as unknown as TensorFlowBackend;
    return backend.executeMultipleOutputs(
      'ResBatchNormTrainingGrad',
      [
        ...normAttrs(backend, attrs),
        ...count(backend, 'ys', y !== undefined),
        ...count(backend, 'shortcuts', attrs.hasShortcut),
      ],
      [dy, x, gamma, mean, variance, ...optional(y)],
      attrs.hasShortcut ? 4 : 3,
    );
  },

  inference({x, gamma, beta, mean, variance, shortcut}, attrs, kernelBackend) {
    const backend = kernelBackend as unknown as TensorFlowBackend;
    return backend.executeMultipleOutputs(
      'ResBatchNormInference',
      [
        ...normAttrs(backend, attrs),
        ...count(backend, 'shortcuts', shortcut !== undefined),
      ],
      [x, gamma, beta, mean, variance, ...optional(shortcut)],
      1,
    );
  },

  moments({x}, attrs, kernelBackend) {
    const backend = kernelBackend as unknown as TensorFlowBackend;
    return backend.executeMultipleOutputs(
      'ResBatchNormMoments',
      normAttrs(backend, attrs),
      [x],
      1,
    );
  },

  gradSums({dy, x, mean, y}, attrs, kernelBackend) {
    const backend = kernelBackend as unknown as TensorFlowBackend;
    return backend.executeMultipleOutputs(
      'ResBatchNormGradSums',
      [...normAttrs(backend, attrs), ...count(backend, 'ys', y !== undefined)],
      [dy, x, mean, ...optional(y)],
      1,
    );
  },

  inputGrad({dy, x, affine, y}, attrs, kernelBackend) {
    const backend = kernelBackend as unknown as TensorFlowBackend;
    return backend.executeMultipleOutputs(
      'ResBatchNormInputGrad',
      [
        ...normAttrs(backend, attrs),
        ...count(backend, 'ys', y !== undefined),
        ...count(backend, 'shortcuts', attrs.hasShortcut),
      ],
      [dy, x, affine, ...optional(y)],
      attrs.hasShortcut ? 2 : 1,
    );
  },

  movingStatistics(inputs, {rule, momentum, skipNonFinite}, kernelBackend) {
    if (rule !== 'exponential') return null;
    const backend = kernelBackend as unknown as TensorFlowBackend;
    const {TF_ATTR_BOOL, TF_ATTR_FLOAT} = backend.binding;
    const {mean, variance, moving_mean, moving_variance, skipped} = inputs;
    const next = backend.executeMultipleOutputs(
      'ResBatchNormMovingStatistics',
      [
        {name: 'momentum', type: TF_ATTR_FLOAT, value: momentum},
        {name: 'batch_weight', type: TF_ATTR_FLOAT, value: 1 - momentum},
        ...unless(skipNonFinite, {
          name: 'skip_non_finite',
          type: TF_ATTR_BOOL,
          value: false,
        }),
      ],
      [mean, variance, moving_mean, moving_variance, skipped],
      3,
    );
    return inOrderOf(inputs, next);
  },
};

const FUNCTION = 'ResBatchNormMovingStatisticsFunction';

/** The moving statistics by the function, for a backend whose tensors are not on the CPU. */
export const movingStatisticsFunction: Kernels['movingStatistics'] = (
  inputs,
  {rule, momentum, skipNonFinite},
  kernelBackend,
) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  if (rule !== 'exponential' || !skipNonFinite || !has(backend, FUNCTION)) return null;
  const {mean, variance, moving_mean, moving_variance, skipped} = inputs;
  const [ofMoving, ofBatch] = [momentum, 1 - momentum].map(weight =>
    sharedVector(backend, Float32Array.of(weight)),
  );
  const next = backend.executeMultipleOutputs(
    FUNCTION,
    [],
    [mean, variance, moving_mean, moving_variance, skipped, ofMoving, ofBatch],
    3,
  );
  return inOrderOf(inputs, next);
};

/** The next mean, variance and count of skipped batches, in the order of the inputs. */
function inOrderOf(
  inputs: MovingStatisticsInputs,
  [mean, variance, skipped]: TensorInfo[],
): TensorInfo[] {
  const names = Object.keys(inputs).filter(name => name in followed);
  return [...names.map(name => ({mean, variance})[followed[name]]), skipped];
}

/**
 * The attribute unless it has the op's default: to hand one over takes 4 % of the time of an
 * op on a small batch.
 */
function unless(isDefault: boolean, attr: OpAttr): OpAttr[] {
  return isDefault ? [] : [attr];
}

function normAttrs(
  {binding}: TensorFlowBackend,
  {axis, epsilon, activation}: NormAttrs,
): OpAttr[] {
  return [
    {name: 'axis', type: binding.TF_ATTR_INT, value: axis},
    {name: 'epsilon', type: binding.TF_ATTR_FLOAT, value: epsilon},
    ...unless(activation === 'linear', {
      name: 'activation',
      type: binding.TF_ATTR_STRING,
      value: activation,
    }),
  ];
}

/** TensorFlow has no inputs and outputs that are optional: they are lists, of one or none. */
function optional(tensor: TensorInfo | undefined): TensorInfo[] {
  return tensor === undefined ? [] : [tensor];
}

/** The length of such a list, as an attribute. */
function count({binding}: TensorFlowBackend, name: string, isThere: boolean): OpAttr[] {
  return unless(!isThere, {name, type: binding.TF_ATTR_INT, value: 1});
}
