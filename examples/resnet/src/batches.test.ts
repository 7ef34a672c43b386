import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import '../../../testing/jest/matchers.js';
import {type Batch, makeBatch, normalizationOf, trainingBatches} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';

/** Five images of one pixel with two channels; the label is the image's number. */
const images = {
  pixels: Uint8Array.from([0, 255, 51, 255, 102, 255, 153, 255, 204, 255]),
  labels: Uint8Array.from([0, 1, 2, 3, 4]),
};
const dataset: ImageDataset = {
  title: 'five',
  imageShape: [1, 1, 2],
  numClasses: 5,
  train: images,
  test: images,
};
const identity = {mean: [0, 0], standardDeviation: [1, 1]};

beforeAll(() => useBackend('cpu'));

/** The labels of the batches of so many epochs. */
async function labels(epochs: number, options: {seed: number; firstEpoch?: number}) {
  const iterator = await trainingBatches(dataset, identity, {
    batchSize: 2,
    ...options,
  }).iterator();
  const seen: number[][][] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    seen.push([]);
    for (let batch = 0; batch < 3; batch++) {
      const {xs, ys} = (await iterator.next()).value as Batch;
      seen[epoch].push(Array.from(await tf.argMax(ys, 1).data()));
      tf.dispose([xs, ys]);
    }
  }
  return seen;
}

describe('normalizationOf', () => {
  it('is the mean and standard deviation of each channel', () => {
    const {mean, standardDeviation} = normalizationOf(dataset);
    expect(mean[0]).toBeCloseTo(0.4, 12);
    expect(standardDeviation[0]).toBeCloseTo(Math.sqrt(0.08), 12);
  });

  it('leaves a constant channel finite', () => {
    expect(normalizationOf(dataset).mean[1]).toBe(1);
    expect(normalizationOf(dataset).standardDeviation[1]).toBe(1);
  });
});

describe('makeBatch', () => {
  it('normalizes each channel and makes labels one-hot', async () => {
    const {xs, ys} = makeBatch(images, [1, 4], dataset, {
      mean: [0.2, 0.5],
      standardDeviation: [0.1, 0.25],
    });
    expect(xs.shape).toEqual([2, 1, 1, 2]);
    await expect(xs).toBeAllclose([0, 2, 6, 2]);
    await expect(ys).toBeAllclose(tf.oneHot([1, 4], 5));
  });
});

describe('trainingBatches', () => {
  it('shows every image once an epoch, the rest in a smaller last batch', async () => {
    const [first, second] = await labels(2, {seed: 1});
    expect(first.map(batch => batch.length)).toEqual([2, 2, 1]);
    expect(first.flat().sort()).toEqual([0, 1, 2, 3, 4]);
    expect(second.flat().sort()).toEqual([0, 1, 2, 3, 4]);
  });

  it('has another order in every epoch and for every seed', async () => {
    const [first, second] = await labels(2, {seed: 1});
    expect(first).not.toEqual(second);
    expect(await labels(2, {seed: 1})).toEqual([first, second]);
    expect(await labels(1, {seed: 2})).not.toEqual([first]);
  });

  it('continues at a later epoch as if it had run through', async () => {
    const [, , third] = await labels(3, {seed: 1});
    expect(await labels(1, {seed: 1, firstEpoch: 2})).toEqual([third]);
  });
});
