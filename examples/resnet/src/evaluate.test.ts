import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import type {ImageDataset} from './datasets/image_dataset.js';
import {
  accuracy,
  largestDifference,
  predictTestImages,
  resetMovingStatistics,
} from './evaluate.js';
import {resNet} from './resnet.js';

beforeAll(() => useBackend('cpu'));

describe('predictTestImages', () => {
  // More than one batch, and a last one that is not full.
  const images = {
    pixels: Uint8Array.from({length: 130 * 16}, (_, i) => i % 256),
    labels: new Uint8Array(130),
  };
  const dataset: ImageDataset = {
    title: 'stripes',
    imageShape: [4, 4, 1],
    numClasses: 3,
    train: images,
    test: images,
  };
  const normalization = {mean: [0.5], standardDeviation: [0.25]};

  it('predicts every image once, in order, and leaks nothing', async () => {
    const model = resNet({...dataset, depth: 8, norm: 'res', seed: 1});
    const before = tf.memory().numTensors;
    const predictions = await predictTestImages(model, dataset, normalization);
    expect(tf.memory().numTensors).toBe(before);
    expect(predictions).toHaveLength(130 * 3);

    const values = Float32Array.from(images.pixels, value => (value / 255 - 0.5) / 0.25);
    const expected = model.predict(tf.tensor4d(values, [130, 4, 4, 1])) as tf.Tensor;
    expect(
      largestDifference(predictions, (await expected.data()) as Float32Array),
    ).toBeLessThan(1e-6);
  });
});

describe('accuracy', () => {
  it('counts the images whose most probable class is their label', () => {
    const probabilities = Float32Array.from([0.1, 0.9, 0.8, 0.2, 0.3, 0.7]);
    expect(accuracy(probabilities, Uint8Array.from([1, 1, 1]))).toBeCloseTo(2 / 3, 12);
  });

  it('counts NaN as wrong', () => {
    expect(accuracy(Float32Array.from([NaN, NaN]), Uint8Array.from([0]))).toBe(0);
  });
});

describe('largestDifference', () => {
  it('takes the largest, whatever its sign', () => {
    const a = Float32Array.from([1, 2, 3]);
    expect(largestDifference(a, a)).toBe(0);
    expect(largestDifference(a, Float32Array.from([1.5, 0, 3]))).toBe(2);
  });

  it('does not hide NaN', () => {
    expect(largestDifference(Float32Array.of(NaN, 1), Float32Array.of(1, 1))).toBeNaN();
    expect(largestDifference(Float32Array.of(1, NaN), Float32Array.of(1, 1))).toBeNaN();
  });

  it('is NaN for values of another length', () => {
    expect(largestDifference(Float32Array.of(1), Float32Array.of(1, 2))).toBeNaN();
    expect(largestDifference(Float32Array.of(1, 2), Float32Array.of(1))).toBeNaN();
  });
});

describe.each(['res', 'builtin'] as const)('resetMovingStatistics with norm %s', norm => {
  it('sets moving means to 0, moving variances to 1, and nothing else', async () => {
    const args = {
      depth: 8,
      imageShape: [4, 4, 1] as [number, number, number],
      numClasses: 3,
    };
    const model = resNet({...args, norm, seed: 1});
    for (const weight of model.weights) {
      const halves = tf.fill(weight.shape as number[], 0.5);
      weight.write(halves);
      halves.dispose();
    }
    const before = tf.memory().numTensors;
    resetMovingStatistics(model);
    expect(tf.memory().numTensors).toBe(before);
    let statistics = 0;
    for (const weight of model.weights) {
      const isMean = weight.originalName.endsWith('moving_mean');
      const isVariance = weight.originalName.endsWith('moving_variance');
      const values = new Set(await weight.read().data());
      expect([...values]).toEqual([isMean ? 0 : isVariance ? 1 : 0.5]);
      if (isMean || isVariance) statistics++;
    }
    expect(statistics).toBe(2 * 9);
  });
});
