/** Checks of what users pass: the options object that each callback is made from, and models. */
import {
  batchNorms,
  describe,
  hasMovingStatistics,
  ValueError,
  type BatchNorm,
} from '@resbatchnorm/layer/introspection';
import type * as tfl from '@tensorflow/tfjs-layers';

import {counted} from './counted.js';

/** @throws ValueError if `args` is not an object, or has a key that is not among `known`. */
export function checkArguments(
  where: string,
  args: unknown,
  known: readonly string[],
): void {
  const list = known.map(name => `'${name}'`).join(', ');
  if (typeof args !== 'object' || args === null) {
    throw new ValueError(
      `${where}: the arguments must be an object with any of ${list}. ` +
        `Received: ${describe(args)}`,
    );
  }
  const unknown = Object.keys(args).find(key => !known.includes(key));
  if (unknown !== undefined) {
    throw new ValueError(
      `${where}: the arguments are ${list}. Received: ${describe(unknown)}`,
    );
  }
}

/** @throws ValueError unless `value` is a whole number of at least `least`. */
export function checkWholeNumber(
  where: string,
  name: string,
  value: unknown,
  least: number,
): void {
  if (Number.isSafeInteger(value) && (value as number) >= least) return;
  throw argumentError(where, name, `a whole number, ${least} or more`, value);
}

/** @throws ValueError unless `value` is true or false. */
export function checkBoolean(where: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean')
    throw argumentError(where, name, 'true or false', value);
}

/** @throws ValueError unless `value` is a string with something in it. */
export function checkText(where: string, name: string, value: unknown): void {
  if (typeof value !== 'string' || value.trim() === '')
    throw argumentError(where, name, 'a string that is not empty', value);
}

export function argumentError(
  where: string,
  name: string,
  expected: string,
  received: unknown,
): ValueError {
  return new ValueError(
    `${where}: argument '${name}' must be ${expected}. Received: ${describe(received)}`,
  );
}

/**
 * The batch norms of a model that have moving statistics, and so are to be watched.
 *
 * @throws ValueError if `model` is not a layers model, or has none of them.
 */
export function watchedBatchNorms(where: string, model: tfl.LayersModel): BatchNorm[] {
  // Not by its class: a program may hold two copies of tfjs-layers.
  const isModel =
    typeof model?.getClassName === 'function' && Array.isArray(model.layers);
  if (!isModel) throw argumentError(where, 'model', 'a tf.LayersModel', model);
  const watched = batchNorms(model).filter(({layer}) => hasMovingStatistics(layer));
  if (watched.length > 0) return watched;
  throw new ValueError(
    `${where}: the model '${model.name}' must have a batch-norm layer with moving ` +
      'statistics (ResBatchNorm or tf.layers.batchNormalization). Received: a model with ' +
      `none among its ${counted(model.layers.length, 'layer')}`,
  );
}
