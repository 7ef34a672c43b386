import {useBackend} from '@resbatchnorm/tools-common/backends';
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {normalizationOf} from './batches.js';
import {StopOnDivergence} from './callbacks.js';
import type {ImageDataset} from './datasets/image_dataset.js';
import {Random} from './random.js';
import {resNet} from './resnet.js';
import {cosineRate, train} from './train.js';

const dataset = noisySquares(24);

/** Bright images are of class 1, dark ones of class 0. */
function noisySquares(n: number): ImageDataset {
  const random = new Random(5);
  const labels = Uint8Array.from({length: n}, (_, i) => i % 2);
  const pixels = Uint8Array.from(
    {length: n * 64},
    (_, i) => 100 * labels[Math.floor(i / 64)] + 100 * random.next(),
  );
  const images = {pixels, labels};
  return {
    title: 'squares',
    imageShape: [8, 8, 1],
    numClasses: 2,
    train: images,
    test: images,
  };
}

class Losses extends tfl.Callback {
  readonly values: number[] = [];

  override async onBatchEnd(_batch: number, logs?: tfl.Logs): Promise<void> {
    // An instance of a callback is given a tensor.
    const loss = logs!.loss as unknown as tf.Scalar;
    this.values.push((await loss.data())[0]);
  }
}

async function trainOnce({seed = 1, learningRate = 0.05, epochs = 2} = {}) {
  const model = resNet({...dataset, depth: 8, norm: 'res', seed});
  const losses = new Losses();
  const options = {epochs, batchSize: 8, learningRate, seed};
  await train(model, dataset, normalizationOf(dataset), options, [
    new StopOnDivergence(),
    losses,
  ]);
  const weights = await Promise.all(model.getWeights().map(weight => weight.data()));
  return {losses: losses.values, weights};
}

beforeAll(() => useBackend('wasm'));

describe('train', () => {
  it('learns', async () => {
    const {losses} = await trainOnce({epochs: 4});
    expect(losses).toHaveLength(4 * 3);
    expect(Math.max(...losses.slice(-3))).toBeLessThan(
      Math.min(...losses.slice(0, 1)) / 3,
    );
  });

  it('does the same for the same seed, without Math.random', async () => {
    const random = jest.spyOn(Math, 'random').mockImplementation(() => {
      throw new Error('Math.random was used');
    });
    try {
      const first = await trainOnce();
      expect(await trainOnce()).toEqual(first);
      expect((await trainOnce({seed: 2})).losses).not.toEqual(first.losses);
    } finally {
      random.mockRestore();
    }
  });

  it('does not go on when it has diverged', async () => {
    await expect(trainOnce({learningRate: 1e30})).rejects.toThrow(
      /diverged: weights are not finite after epoch 1, batch \d\. Try a smaller/,
    );
  });
});

describe('cosineRate', () => {
  it('goes from the largest rate over half of it down towards 0', () => {
    expect(cosineRate(0.1, 0, 100)).toBe(0.1);
    expect(cosineRate(0.1, 50, 100)).toBeCloseTo(0.05, 12);
    expect(cosineRate(0.1, 99, 100)).toBeGreaterThan(0);
    expect(cosineRate(0.1, 99, 100)).toBeLessThan(1e-4);
  });
});
