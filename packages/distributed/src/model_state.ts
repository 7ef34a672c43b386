/** What replicas have in common before they train: the weights, and the state of the optimizer. */
import * as tf from '@tensorflow/tfjs-core';
import type {LayersModel} from '@tensorflow/tfjs-layers';

import {checkEqual} from './agreement.js';
import {bytesOf} from './call_block.js';
import type {Collectives} from './collectives.js';

/** A variable that an optimizer keeps for a weight: a moment, or an accumulation. */
interface Slot {
  originalName: string;
  variable: tf.Variable;
}

/** What an optimizer holds: variables, and lists of them with one for each weight. */
type Fields = Record<string, unknown> & {iterations_: number | undefined};

/** What there is on rank 0, beside the values. */
interface Description {
  initialEpoch: number;
  iterations: number | undefined;
  slots: Record<string, {originalName: string; shape: number[]}[]>;
}

/**
 * Gives all replicas what rank 0 has: the model's weights, the variables of its optimizer and the
 * number of its steps, to the bit. On the others the optimizer may not have any yet.
 *
 * Not by the optimizer's setWeights: that of Adam computes some anew, Adamax has none.
 *
 * @param initialEpoch This replica's.
 * @returns The initial epoch of rank 0.
 * @throws DistributedError if the model or the optimizer is another one.
 */
export function broadcastState(
  replicas: Collectives,
  model: LayersModel,
  initialEpoch: number,
): number {
  const {weights, optimizer} = model;
  checkEqual(replicas, {
    'the model': weights.map(({originalName, shape, dtype}) => [
      originalName,
      shape,
      dtype,
    ]),
    'the trainable weights': model.trainableWeights.map(weight => weight.originalName),
    'the optimizer': [optimizer.getClassName(), optimizer.getConfig()],
  });
  const fields = optimizer as unknown as Fields;
  const own: Description = {
    initialEpoch,
    iterations: fields.iterations_,
    slots: Object.fromEntries(
      slotsOf(fields).map(([field, slots]) => [
        field,
        slots.map(({originalName, variable: {shape}}) => ({originalName, shape})),
      ]),
    ),
  };
  const description = JSON.parse(
    broadcastText(replicas, JSON.stringify(own)),
  ) as Description;
  if (!replicas.isChief) prepareOptimizer(fields, description);
  broadcastVariables(replicas, [
    ...weights.map(weight => weight.read() as tf.Variable),
    ...Object.values(fields).filter(value => value instanceof tf.Variable),
    ...slotsOf(fields).flatMap(([, slots]) => slots.map(({variable}) => variable)),
  ]);
  return description.initialEpoch;
}

function slotsOf(fields: Fields): [string, Slot[]][] {
  return Object.entries(fields).filter((entry): entry is [string, Slot[]] => {
    const [, value] = entry;
    return (
      Array.isArray(value) && value.every(slot => slot?.variable instanceof tf.Variable)
    );
  });
}

/** Makes the same variables as on rank 0, whose values are to come. */
function prepareOptimizer(fields: Fields, {iterations, slots}: Description): void {
  fields.iterations_ = iterations;
  for (const [field, old] of slotsOf(fields)) {
    tf.dispose(old.map(({variable}) => variable));
    fields[field] = slots[field].map(({originalName, shape}) => ({
      originalName,
      variable: tf.tidy(() => tf.variable(tf.zeros(shape), false)),
    }));
  }
}

function broadcastVariables(replicas: Collectives, variables: tf.Variable[]): void {
  const all = Buffer.concat(variables.map(variable => bytesOf(variable.dataSync())));
  replicas.broadcast("weights and the optimizer's state", all);
  if (replicas.isChief) return;
  let start = 0;
  for (const variable of variables) {
    const {shape, dtype, size} = variable;
    const values = tf.util.getTypedArrayFromDType(dtype as 'float32', size);
    const bytes = bytesOf(values);
    bytes.set(all.subarray(start, (start += bytes.length)));
    tf.tidy(() => variable.assign(tf.tensor(values, shape, dtype)));
  }
}

function broadcastText(replicas: Collectives, text: string): string {
  const own = Buffer.from(text);
  const [[length]] = replicas.gather(
    'length of the description',
    Float64Array.of(own.length),
  );
  const bytes = replicas.isChief ? own : Buffer.alloc(length);
  replicas.broadcast("description of the optimizer's state", bytes);
  return bytes.toString();
}
