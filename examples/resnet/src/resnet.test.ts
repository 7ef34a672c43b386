import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import {resNet, type ResNetArgs} from './resnet.js';

const small: ResNetArgs = {
  depth: 8,
  imageShape: [8, 8, 1],
  numClasses: 10,
  norm: 'res',
  seed: 1,
};

const layersOf = (args: Partial<ResNetArgs>) => resNet({...small, ...args}).layers;
const count = (args: Partial<ResNetArgs>, className: string) =>
  layersOf(args).filter(layer => layer.getClassName() === className).length;

beforeAll(() => useBackend('cpu'));

describe('resNet', () => {
  it.each([8, 14, 20])('has as many layers with weights as its depth says: %d', depth => {
    // As in the paper, the two projections in the shortcuts do not count.
    expect(count({depth}, 'Conv2D') - 2 + count({depth}, 'Dense')).toBe(depth);
  });

  it('has the number of parameters of the paper’s ResNet-20, and two projections', () => {
    const model = resNet({...small, depth: 20, imageShape: [32, 32, 3], norm: 'none'});
    const weights = model.weights.filter(({originalName}) =>
      originalName.endsWith('/kernel'),
    );
    const sizes = weights.map(({shape}) => tf.util.sizeFromShape(shape as number[]));
    // 3·3·(3·16 + 6·16·16 + 16·32 + 5·32·32 + 32·64 + 5·64·64), 1·1 projections, dense.
    const convolutions = 9 * (48 + 6 * 256 + 512 + 5 * 1024 + 2048 + 5 * 4096);
    expect(sizes.reduce((a, b) => a + b)).toBe(convolutions + 16 * 32 + 32 * 64 + 640);
  });

  it('has a norm after every convolution, and then no bias', () => {
    for (const [norm, className] of [
      ['res', 'ResBatchNorm'],
      ['builtin', 'BatchNormalization'],
    ] as const) {
      expect(count({norm}, className)).toBe(count({norm}, 'Conv2D'));
      const biases = layersOf({norm}).flatMap(({weights}) =>
        weights.filter(({originalName}) => originalName.endsWith('/bias')),
      );
      expect(biases.map(({originalName}) => originalName)).toEqual(['classes/bias']);
    }
  });

  it('has the ReLUs and the sums in ResBatchNorm, and as layers otherwise', () => {
    for (const [norm, expected] of [
      ['res', {ReLU: 0, Add: 0}],
      ['builtin', {ReLU: 7, Add: 3}],
      ['none', {ReLU: 7, Add: 3}],
    ] as const) {
      expect({ReLU: count({norm}, 'ReLU'), Add: count({norm}, 'Add')}).toEqual(expected);
    }
  });

  it('has biases in place of the norms with none', () => {
    expect(count({norm: 'none'}, 'ResBatchNorm')).toBe(0);
    expect(count({norm: 'none'}, 'BatchNormalization')).toBe(0);
    const biases = resNet({...small, norm: 'none'}).weights.filter(({originalName}) =>
      originalName.endsWith('/bias'),
    );
    expect(biases).toHaveLength(count({norm: 'none'}, 'Conv2D') + 1);
  });

  it('gives probabilities of the classes', async () => {
    const y = resNet(small).predict(tf.ones([3, 8, 8, 1])) as tf.Tensor;
    expect(y.shape).toEqual([3, 10]);
    for (const sum of await tf.sum(y, 1).data()) expect(sum).toBeCloseTo(1, 5);
  });

  it('begins with the same weights for the same seed, and never the same twice in it', async () => {
    const values = async (seed: number) => {
      const kernels = resNet({...small, seed}).weights.filter(({originalName}) =>
        originalName.endsWith('/kernel'),
      );
      return Promise.all(
        kernels.map(async kernel => Array.from(await kernel.read().data())),
      );
    };
    const first = await values(1);
    expect(await values(1)).toEqual(first);
    expect(await values(2)).not.toEqual(first);
    expect(new Set(first.map(kernel => kernel[0])).size).toBe(first.length);
  });

  it('draws kernels with the spread of He et al.: √(2/fan-in), cut off at twice that', async () => {
    const kernel = resNet(small).getLayer('stage3_block1_2_conv').weights[0].read();
    const {variance} = tf.moments(kernel);
    const [standardDeviation] = await tf.sqrt(variance).data();
    // A normal distribution cut off at two standard deviations has 0.88 of its own.
    expect(standardDeviation / Math.sqrt(2 / (9 * 64))).toBeCloseTo(0.88, 1);
  });
});
