/** The test: predictions for the test images, and how good they are. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

import {makeBatch, type Normalization} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';

const batchSize = 128;

/** Class probabilities of the test images, [n, numClasses], flat; in inference mode. */
export async function predictTestImages(
  model: tfl.LayersModel,
  dataset: ImageDataset,
  normalization: Normalization,
): Promise<Float32Array> {
  const {test, numClasses} = dataset;
  const n = test.labels.length;
  const probabilities = new Float32Array(n * numClasses);
  for (let start = 0; start < n; start += batchSize) {
    const length = Math.min(batchSize, n - start);
    const indices = Array.from({length}, (_, i) => start + i);
    const {xs, ys} = makeBatch(test, indices, dataset, normalization);
    const predictions = model.predictOnBatch(xs) as tf.Tensor;
    probabilities.set(await predictions.data(), start * numClasses);
    tf.dispose([xs, ys, predictions]);
  }
  return probabilities;
}

/** The share of the images whose most probable class is their label. */
export function accuracy(probabilities: Float32Array, labels: Uint8Array): number {
  const numClasses = probabilities.length / labels.length;
  let correct = 0;
  for (let i = 0; i < labels.length; i++) {
    const row = probabilities.subarray(i * numClasses, (i + 1) * numClasses);
    if (row.indexOf(Math.max(...row)) === labels[i]) correct++;
  }
  return correct / labels.length;
}

/** The largest |a − b|; NaN for NaN and for values of another length. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return NaN;
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);
}

/**
 * Puts the moving statistics back to mean 0 and variance 1, as they would be in a program
 * that had restored all weights but these.
 */
export function resetMovingStatistics(model: tfl.LayersModel): void {
  for (const weight of model.weights) {
    const name = weight.originalName;
    tf.tidy(() => {
      if (name.endsWith('/moving_mean')) weight.write(tf.zerosLike(weight.read()));
      if (name.endsWith('/moving_variance')) weight.write(tf.onesLike(weight.read()));
    });
  }
}
