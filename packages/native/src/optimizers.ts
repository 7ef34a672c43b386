/** An optimizer whose step is one op for all variables, in place of several ops for each. */
import {
  engine,
  mul,
  tensor1d,
  tidy,
  util,
  type NamedTensorMap,
  type Optimizer,
  type Scalar,
  type Tensor,
  type Variable,
} from '@tensorflow/tfjs-core';

import {NativeError} from './native_error.js';

type Gradients = Parameters<Optimizer['applyGradients']>[0];

/** A variable of an optimizer: a moment, or an accumulation. */
interface State {
  originalName: string;
  variable: Variable;
}

/** What TensorFlow.js's optimizers keep, each some of it. */
interface Internals {
  learningRate: number;
  /** −learningRate, as the optimizer uses it. */
  c: Scalar;
  m: Scalar;
  useNesterov: boolean;
  accumulations: State[];
  beta1: number;
  beta2: number;
  decay: number;
  momentum: number;
  centered: boolean;
  epsilon: number;
  accBeta1: Variable;
  accBeta2: Variable;
  accumulatedMeanSquares: State[];
  accumulatedMoments: State[];
  accumulatedFirstMoment: State[];
  accumulatedSecondMoment: State[];
  incrementIterations(): void;
}

/** How the op does what an optimizer does. */
interface Rule {
  name(optimizer: Internals): 'sgd' | 'momentum' | 'nesterov' | 'rmsprop' | 'adam';
  /** The optimizer's variables, a list for each kind. */
  states(optimizer: Internals): State[][];
  /** As the op wants them: see addon/optimizer_op.cc. */
  hyperparameters(optimizer: Internals): number[];
  /** What changes from step to step, besides. */
  finish?(optimizer: Internals): void;
}

const value = (scalar: Tensor) => scalar.dataSync()[0];

const rules: Record<string, Rule> = {
  SGD: {
    name: () => 'sgd',
    states: () => [],
    hyperparameters: ({c}) => [-value(c)],
  },
  Momentum: {
    name: ({useNesterov}) => (useNesterov ? 'nesterov' : 'momentum'),
    states: ({accumulations}) => [accumulations],
    hyperparameters: ({c, m}) => [-value(c), value(m)],
  },
  RMSProp: {
    name: () => 'rmsprop',
    states: ({accumulatedMeanSquares, accumulatedMoments}) => [
      accumulatedMeanSquares,
      accumulatedMoments,
    ],
    hyperparameters: ({learningRate, decay, momentum, epsilon}) => [
      learningRate,
      ...[decay, 1 - decay],
      momentum,
      epsilon,
    ],
  },
  Adam: {
    name: () => 'adam',
    states: ({accumulatedFirstMoment, accumulatedSecondMoment}) => [
      accumulatedFirstMoment,
      accumulatedSecondMoment,
    ],
    hyperparameters: ({learningRate, beta1, beta2, epsilon, accBeta1, accBeta2}) => [
      learningRate,
      ...[beta1, 1 - beta1, beta2, 1 - beta2],
      epsilon,
      ...[accBeta1, accBeta2].map(power => 1 - value(power)),
    ],
    finish: ({beta1, beta2, accBeta1, accBeta2}) =>
      tidy(() => {
        accBeta1.assign(mul(accBeta1, beta1));
        accBeta2.assign(mul(accBeta2, beta2));
      }),
  },
};

/**
 * Makes an optimizer update all variables by one op, which is the same arithmetic in one pass over
 * the memory, where TensorFlow runs on the CPU with the addon that `setup` built. Elsewhere the
 * optimizer works as before. Its state, and what is saved of it, stay what they are.
 *
 * @param optimizer From tf.train.sgd, momentum (with Nesterov or without), rmsprop (not centered:
 *     its root of a small difference depends on the rounding of every op) or adam.
 * @returns The same optimizer.
 * @throws NativeError if it is another optimizer.
 */
export function fuseUpdates<T extends Optimizer>(optimizer: T): T {
  const className = optimizer?.getClassName?.();
  const rule = rules[className];
  const internals = optimizer as unknown as Internals;
  const centered = internals?.centered ? 'centered ' : '';
  if (rule === undefined || centered) {
    throw new NativeError(
      'fuseUpdates: the optimizer must be one of tf.train.sgd, momentum, rmsprop (not centered) ' +
        `and adam. Received: ${centered}${className ?? String(optimizer)}.`,
      'Use it as it is.',
    );
  }
  const stock = optimizer.applyGradients.bind(optimizer);
  optimizer.applyGradients = gradients => {
    // The optimizer's own first step makes its variables.
    if (!hasOp() || !applyFused(internals, rule, gradients)) stock(gradients);
  };
  return optimizer;
}

/**
 * False, and nothing has changed, for what the op does not take: a variable without gradient or
 * state, or named twice; other dtypes; shapes to broadcast, or that are wrong.
 */
function applyFused(optimizer: Internals, rule: Rule, gradients: Gradients): boolean {
  const named = inOrder(gradients);
  const {registeredVariables} = engine();
  const variables = named.map(({name}) => registeredVariables[name]);
  const tensors = named.map(({tensor}) => tensor);
  const states = rule
    .states(optimizer)
    .map(kind => variables.map((_, i) => kind[i]?.variable));
  const fits =
    variables.length > 0 &&
    new Set(variables).size === variables.length &&
    [variables, tensors, ...states].every(list =>
      list.every((tensor, i) => fitsTo(variables[i], tensor)),
    );
  if (!fits) return false;
  const state = states.flat();
  tidy(() => {
    const next = runOp(
      rule.name(optimizer),
      variables,
      tensors,
      state,
      rule.hyperparameters(optimizer),
    );
    [...variables, ...state].forEach((variable, i) => variable.assign(next[i]));
  });
  rule.finish?.(optimizer);
  optimizer.incrementIterations();
  return true;
}

function fitsTo(
  variable: Variable | undefined,
  tensor: Tensor | null | undefined,
): boolean {
  return (
    variable !== undefined &&
    tensor?.dtype === 'float32' &&
    !tensor.isDisposed &&
    util.arraysEqual(tensor.shape, variable.shape)
  );
}

function inOrder(gradients: Gradients): {name: string; tensor: Tensor}[] {
  if (Array.isArray(gradients)) return gradients;
  const entries = Object.entries(gradients as NamedTensorMap);
  return entries.map(([name, tensor]) => ({name, tensor}));
}

/** What of tfjs-node's backend is used. */
interface TensorFlowBackend {
  isUsingGpuDevice: boolean;
  binding: Record<'TF_ATTR_INT' | 'TF_ATTR_STRING', number>;
  executeMultipleOutputs(
    op: string,
    attrs: {name: string; type: number; value: number | string}[],
    inputs: Tensor[],
    numOutputs: number,
  ): Tensor[];
}

const OP = 'ResBatchNormOptimizerStep';
const known = new WeakMap<object, boolean>();

const currentBackend = () => engine().backend as unknown as TensorFlowBackend;

function hasOp(): boolean {
  if (engine().backendName !== 'tensorflow') return false;
  const backend = currentBackend();
  if (backend.isUsingGpuDevice) return false;
  let isThere = known.get(backend);
  if (isThere === undefined) known.set(backend, (isThere = isRegistered(backend)));
  return isThere;
}

/** TensorFlow tells only by an error: there is no such op, or it was called without inputs. */
function isRegistered(backend: TensorFlowBackend): boolean {
  try {
    backend.executeMultipleOutputs(OP, [], [], 1);
  } catch (error) {
    return !String(error).includes('not registered');
  }
  return true;
}

/** → the next values, and the next state. */
function runOp(
  rule: string,
  values: Tensor[],
  gradients: Tensor[],
  state: Tensor[],
  hyperparameters: number[],
): Tensor[] {
  const backend = currentBackend();
  const {binding} = backend;
  return backend.executeMultipleOutputs(
    OP,
    [
      {name: 'rule', type: binding.TF_ATTR_STRING, value: rule},
      {name: 'variables', type: binding.TF_ATTR_INT, value: values.length},
      {name: 'states', type: binding.TF_ATTR_INT, value: state.length},
    ],
    [...values, ...gradients, ...state, tensor1d(hyperparameters)],
    values.length + state.length,
  );
}
