/**
 * The kernels by custom ops of TensorFlow, written for them in C++: `resbatchnorm-native setup`
 * builds them into the addon of tfjs-node. Each kernel is one op, for any shape and axis. The ops
 * are for the CPU; of the moving statistics there is a function besides, for any device.
 */
import {env, type KernelBackend, type TensorInfo} from '@tensorflow/tfjs-core';

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
  training({x, gamma, beta, shortcut}, attrs, backend) {
    const inputs = [x, gamma, beta, ...optional(shortcut)];
    return run('ResBatchNormTraining', inputs, 3, attrs, backend, {
      shortcuts: shortcut !== undefined,
    });
  },

  trainingGrad({dy, x, gamma, mean, variance, y}, attrs, backend) {
    const inputs = [dy, x, gamma, mean, variance, ...optional(y)];
    const outputs = attrs.hasShortcut ? 4 : 3;
    return run('ResBatchNormTrainingGrad', inputs, outputs, attrs, backend, {
      ys: y !== undefined,
      shortcuts: attrs.hasShortcut,
    });
  },

  inference({x, gamma, beta, mean, variance, shortcut}, attrs, backend) {
    const inputs = [x, gamma, beta, mean, variance, ...optional(shortcut)];
    return run('ResBatchNormInference', inputs, 1, attrs, backend, {
      shortcuts: shortcut !== undefined,
    });
  },

  moments({x}, attrs, backend) {
    return run('ResBatchNormMoments', [x], 1, attrs, backend);
  },

  gradSums({dy, x, mean, y}, attrs, backend) {
    const inputs = [dy, x, mean, ...optional(y)];
    return run('ResBatchNormGradSums', inputs, 1, attrs, backend, {
      ys: y !== undefined,
    });
  },

  inputGrad({dy, x, affine, y}, attrs, backend) {
    const inputs = [dy, x, affine, ...optional(y)];
    const outputs = attrs.hasShortcut ? 2 : 1;
    return run('ResBatchNormInputGrad', inputs, outputs, attrs, backend, {
      ys: y !== undefined,
      shortcuts: attrs.hasShortcut,
    });
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

/** Runs an op of a norm. `lists` says of its lists that are optional tensors which are there. */
function run(
  op: string,
  inputs: TensorInfo[],
  outputs: number,
  attrs: NormAttrs,
  kernelBackend: KernelBackend,
  lists: Partial<Record<'ys' | 'shortcuts', boolean>> = {},
): TensorInfo[] {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const opAttrs = normAttrs(backend, attrs);
  const {TF_ATTR_INT: type} = backend.binding;
  if (lists.ys) opAttrs.push({name: 'ys', type, value: 1});
  if (lists.shortcuts) opAttrs.push({name: 'shortcuts', type, value: 1});
  return backend.executeMultipleOutputs(op, opAttrs, inputs, outputs);
}

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
