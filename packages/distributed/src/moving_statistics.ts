/** Moving statistics that each replica has of its own part of the batches, made equal. */
import {
  batchNorms,
  hasMovingStatistics,
  normFields,
  statisticsOf,
} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';
import type {LayersModel} from '@tensorflow/tfjs-layers';

import type {Collectives} from './collectives.js';

/**
 * Averages them over the replicas, as Keras does with those of norms that are not synchronized.
 * Equal ones stay as they are, to the bit.
 */
export function averageMovingStatistics(replicas: Collectives, model: LayersModel): void {
  const variables = batchNorms(model)
    .filter(({layer}) => hasMovingStatistics(layer) && !normFields(layer).synchronized)
    .flatMap(({layer}) => statisticsOf(layer))
    .map(weight => weight.read() as tf.Variable);
  if (variables.length === 0) return;
  const values = variables.flatMap(variable => [...variable.dataSync()]);
  const rows = replicas.gather('moving statistics', Float64Array.from(values));
  const means = values.map(
    (_, i) => rows.reduce((sum, row) => sum + row[i], 0) / rows.length,
  );
  let start = 0;
  tf.tidy(() => {
    for (const variable of variables) {
      const {shape, dtype, size} = variable;
      const end = start + size;
      const isEqual = values
        .slice(start, end)
        .every((value, i) => value === means[start + i]);
      // A write is a change to whoever watches a frozen layer.
      if (!isEqual) variable.assign(tf.tensor(means.slice(start, end), shape, dtype));
      start = end;
    }
  });
}
