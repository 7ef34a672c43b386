/**
 * Whether a layer was trained on batches with one value a channel. The variance of one value is
 * 0, whatever the data, and so becomes the moving variance.
 */
import {isResBatchNorm, type Layer} from '@resbatchnorm/layer/introspection';
import type * as tf from '@tensorflow/tfjs-core';

import type {ProbeStatistics} from './probe.js';
import {momentumOf, type Updates} from './update_progress.js';

/** Above this part of the updates, batches with one value a channel do. */
const MOST_OF_ONE_VALUE = 0.2;

/** The relative rounding error of an update, and what is rounded to 0, or never gets there. */
const FLOAT32_STEP = 2 ** -23;
const LEAST_FLOAT32 = 1e-37;

/** What a check sees of a layer. */
export interface Observation {
  layer: Layer;
  updates: Updates;
  batch: ProbeStatistics;
  moving: {mean: tf.TypedArray; variance: tf.TypedArray};
  epsilon: number;
}

/** Whether it was trained on batches with one value a channel, and how that is known. */
export function explainByOneValue(observation: Observation): string | undefined {
  const {layer, updates, batch, moving, epsilon} = observation;
  const {oneValuePart, varianceBefore, inTraining} = updates;
  if (oneValuePart !== undefined) {
    if (oneValuePart <= MOST_OF_ONE_VALUE) return undefined;
    const percent = (100 * oneValuePart).toPrecision(3);
    return (
      'it is trained on batches with one value a channel, which has variance 0 (they make ' +
      `up ${percent} % of its updates in this training), so that its moving variance goes to 0`
    );
  }
  const isOfOther = batch.isOfOneValue || batch.variance.some(value => value > epsilon);
  if (varianceBefore !== undefined) {
    // Any variance above 0 leaves more than this part of the value before.
    const kept = (momentumOf(layer) ?? 0) ** (inTraining ?? 0);
    const rounding = 1e-6 + FLOAT32_STEP * (inTraining ?? 0);
    const isOfZeros = moving.variance.every(
      (value, i) => value <= kept * varianceBefore[i] * (1 + rounding) + LEAST_FLOAT32,
    );
    if (!isOfOther || !isOfZeros) return undefined;
    return (
      'the variance of each batch in this training was 0 in all channels, as that of one ' +
      'value a channel is, so that its moving variance goes to 0'
    );
  }
  const isBelow =
    batch.isOfOneValue ||
    moving.variance.every((value, i) => value <= batch.variance[i] / 2);
  if (isResBatchNorm(layer) && layer.lastValueCount === 1 && isBelow) {
    return (
      'in its last training call each channel had one value, which has variance 0: in a ' +
      'training of such calls the moving variance goes to 0'
    );
  }
  const isNear0 = moving.variance.every(value => value < epsilon);
  if (!isNear0 || !batch.variance.some(value => value > 100 * epsilon)) return undefined;
  return (
    'its moving variances are near 0, and the variances of these data are not. So they are ' +
    'if these data are not prepared as in training, or after training on batches with one ' +
    'value a channel, which has variance 0'
  );
}
