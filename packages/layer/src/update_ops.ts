/**
 * Update ops: what a training call does to the moving statistics, as something that can wait.
 *
 * By default an update op runs at once, as with `updates_collections=None` in
 * tf.contrib.layers.batch_norm. Inside `collectUpdateOps` it is collected instead, as in
 * tf.GraphKeys.UPDATE_OPS, and runs when the caller says so.
 */
import * as tf from '@tensorflow/tfjs-core';

import {describe, ValueError} from './errors.js';

const COLLECTIONS = Symbol.for('@resbatchnorm/layer/update_ops');

/** One update of one layer, with the tensors that it needs. */
export interface UpdateOp<Inputs extends tf.NamedTensorMap = tf.NamedTensorMap> {
  /** The layer's name, for messages. */
  layerName: string;
  inputs: Inputs;
  run(inputs: Inputs): void;
}

/** The update ops that `collectUpdateOps` collected; they run or are disposed once. */
export class UpdateOps {
  private done: 'run' | 'disposed' | null = null;

  /** @internal */
  constructor(private readonly ops: readonly UpdateOp[]) {}

  /** How many update ops were collected. */
  get length(): number {
    return this.ops.length;
  }

  /**
   * Runs them in the order in which they were made: each assigns the moving statistics of its
   * layer. Their tensors are disposed.
   *
   * @throws Error if they have run or been disposed already.
   */
  run(): void {
    if (this.done !== null) {
      throw new Error(`The update ops can't run: they have been ${this.done} already.`);
    }
    const gone = this.ops.find(({inputs}) =>
      Object.values(inputs).some(tensor => tensor.isDisposed),
    );
    if (gone !== undefined) {
      throw new Error(
        `The update ops can't run: those of layer '${gone.layerName}' were disposed by the ` +
          'tf.tidy() that collectUpdateOps() was called in. Run them inside of it.',
      );
    }
    try {
      for (const op of this.ops) op.run(op.inputs);
    } finally {
      this.finish('run');
    }
  }

  /** Drops them: the moving statistics stay as they are. Safe to call more than once. */
  dispose(): void {
    if (this.done === null) this.finish('disposed');
  }

  private finish(how: 'run' | 'disposed'): void {
    this.done = how;
    for (const {inputs} of this.ops) tf.dispose(inputs);
  }
}

/** The collections being filled, the innermost last; other copies of this module have them, too. */
const collections: UpdateOp[][] = sharedCollections();

function sharedCollections(): UpdateOp[][] {
  const shared = globalThis as {[COLLECTIONS]?: UpdateOp[][]};
  return (shared[COLLECTIONS] ??= []);
}

/** Runs the op, or collects it where `collectUpdateOps` asks for that. */
export function emitUpdateOp<Inputs extends tf.NamedTensorMap>(
  op: UpdateOp<Inputs>,
): void {
  const collection = collections.at(-1);
  if (collection === undefined) {
    op.run(op.inputs);
    return;
  }
  const inputs: tf.NamedTensorMap = {};
  for (const [name, tensor] of Object.entries(op.inputs)) {
    inputs[name] = tf.keep(tf.clone(tensor));
  }
  collection.push({...op, inputs} as unknown as UpdateOp);
}

/**
 * Calls `fn` and collects the update ops that batch-norm layers make meanwhile, in place of
 * running them. So gradients and update ops can be applied as one step:
 *
 * ```ts
 * const {result, updateOps} = collectUpdateOps(() =>
 *   optimizer.computeGradients(() => loss(model.apply(x, {training: true}))),
 * );
 * optimizer.applyGradients(result.grads);
 * updateOps.run();
 * ```
 *
 * Update ops live as tensors do: until they run, until `updateOps.dispose()`, or until the end
 * of the `tf.tidy` that this is called in. If they are dropped, the statistics stay as they
 * are. If `fn` throws, what was collected is disposed. Calls may be nested; an op belongs to
 * the innermost.
 *
 * @param fn A function that is done when it returns, like that of `tf.tidy`.
 * @throws ValueError if `fn` is not a function or returns a promise.
 */
export function collectUpdateOps<T>(fn: () => T): {result: T; updateOps: UpdateOps} {
  if (typeof fn !== 'function') {
    throw new ValueError(
      `collectUpdateOps: fn must be a function. Received: ${describe(fn)}`,
    );
  }
  const collection: UpdateOp[] = [];
  collections.push(collection);
  let result: T;
  try {
    result = fn();
    if (result instanceof Promise) {
      throw new ValueError(
        'collectUpdateOps: fn must be done when it returns. Received: a function that ' +
          'returns a promise; update ops made after its first await could not be collected',
      );
    }
  } catch (error) {
    for (const {inputs} of collection) tf.dispose(inputs);
    throw error;
  } finally {
    collections.pop();
  }
  return {result, updateOps: new UpdateOps(collection.map(releaseToScope))};
}

/** Hands an op's tensors, kept so far, to the tidy that is around the collection, if any. */
function releaseToScope(op: UpdateOp): UpdateOp {
  const inputs: tf.NamedTensorMap = {};
  for (const [name, tensor] of Object.entries(op.inputs)) {
    inputs[name] = tf.clone(tensor);
    tensor.dispose();
  }
  return {...op, inputs};
}
