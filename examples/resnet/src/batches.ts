/** From bytes to the tensors that the model takes. */
import * as tf from '@tensorflow/tfjs-core';

import {
  type ImageDataset,
  imageSize,
  type LabelledImages,
} from './datasets/image_dataset.js';
import {Random} from './random.js';

/** Per channel, over all training images, of pixels scaled to [0, 1]. */
export interface Normalization {
  mean: number[];
  standardDeviation: number[];
}

export interface Batch {
  /** Normalized images [n, height, width, channels]. */
  xs: tf.Tensor4D;
  /** One-hot labels [n, numClasses]. */
  ys: tf.Tensor2D;
}

/** The statistics that bring the training images to mean 0, standard deviation 1. */
export function normalizationOf({train, imageShape}: ImageDataset): Normalization {
  const channels = imageShape[2];
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  // Sums of bytes and of their squares are whole numbers below 2^53: exact.
  for (let i = 0; i < train.pixels.length; i++) {
    sums[i % channels] += train.pixels[i];
    squares[i % channels] += train.pixels[i] ** 2;
  }
  const n = train.pixels.length / channels;
  const mean = Array.from(sums, sum => sum / n / 255);
  const standardDeviation = mean.map((m, c) =>
    Math.sqrt(Math.max(squares[c] / n / 255 ** 2 - m ** 2, 0)),
  );
  // A channel that is the same everywhere stays as it is, rather than become NaN.
  return {mean, standardDeviation: standardDeviation.map(s => (s > 0 ? s : 1))};
}

/** Makes the tensors of the images at the given indices. The caller disposes of them. */
export function makeBatch(
  images: LabelledImages,
  indices: ArrayLike<number>,
  {imageShape, numClasses}: Pick<ImageDataset, 'imageShape' | 'numClasses'>,
  {mean, standardDeviation}: Normalization,
): Batch {
  const size = imageSize(imageShape);
  const channels = imageShape[2];
  const xs = new Float32Array(indices.length * size);
  const ys = new Float32Array(indices.length * numClasses);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * size;
    for (let at = 0; at < size; at++) {
      const channel = at % channels;
      const value = images.pixels[from + at] / 255;
      xs[i * size + at] = (value - mean[channel]) / standardDeviation[channel];
    }
    ys[i * numClasses + images.labels[indices[i]]] = 1;
  }
  return {
    xs: tf.tensor4d(xs, [indices.length, ...imageShape]),
    ys: tf.tensor2d(ys, [indices.length, numClasses]),
  };
}

/**
 * The batches of epoch after epoch, without end, in the form that `fitDataset` takes.
 *
 * The order in an epoch depends on the seed and the number of the epoch alone, so a run
 * that begins at a later epoch sees the same batches there.
 */
export function trainingBatches(
  dataset: ImageDataset,
  normalization: Normalization,
  {
    batchSize,
    seed,
    firstEpoch = 0,
  }: {batchSize: number; seed: number; firstEpoch?: number},
) {
  const {train} = dataset;
  function* generate(): Generator<Batch, never> {
    for (let epoch = firstEpoch; ; epoch++) {
      const order = new Random(seed, epoch).permutation(train.labels.length);
      for (let start = 0; start < order.length; start += batchSize) {
        const indices = order.subarray(start, start + batchSize);
        yield makeBatch(train, indices, dataset, normalization);
      }
    }
  }
  return {
    size: Infinity,
    iterator: async () => {
      const batches = generate();
      return {next: async () => batches.next()};
    },
  };
}
