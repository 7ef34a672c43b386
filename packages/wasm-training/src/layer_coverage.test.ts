/**
 * Which layers, activations, losses and optimizers train on the wasm backend: loss and all
 * gradients of one training step equal those of the cpu backend.
 */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {expectTrainingAsOnCpu, randomTensor, Training} from '../test/same_training';

declare const backendUnderTest: string;

const image = [7, 6, 4];
const seed = 3;
const l = tfl.layers;

/** Layers that stand between two 1×1 convolutions of an image with four channels. */
const imageLayers: Record<string, () => tfl.layers.Layer> = {
  conv2d: () => l.conv2d({filters: 3, kernelSize: 3, strides: 2, padding: 'same'}),
  'conv2d valid': () => l.conv2d({filters: 3, kernelSize: [2, 3], strides: [1, 2]}),
  conv2dTranspose: () => l.conv2dTranspose({filters: 3, kernelSize: 3, strides: 2}),
  'conv2dTranspose same': () =>
    l.conv2dTranspose({filters: 3, kernelSize: 3, strides: 2, padding: 'same'}),
  depthwiseConv2d: () => l.depthwiseConv2d({kernelSize: 3, padding: 'same', strides: 2}),
  'depthwiseConv2d with multiplier': () =>
    l.depthwiseConv2d({kernelSize: 3, depthMultiplier: 2}),
  separableConv2d: () =>
    l.separableConv2d({filters: 3, kernelSize: 3, depthMultiplier: 2}),
  maxPooling2d: () => l.maxPooling2d({poolSize: 3, strides: 2, padding: 'same'}),
  averagePooling2d: () => l.averagePooling2d({poolSize: 2}),
  globalAveragePooling2d: () => l.globalAveragePooling2d({}),
  globalMaxPooling2d: () => l.globalMaxPooling2d({}),
  zeroPadding2d: () =>
    l.zeroPadding2d({
      padding: [
        [1, 2],
        [0, 3],
      ],
    }),
  cropping2D: () =>
    l.cropping2D({
      cropping: [
        [1, 2],
        [0, 3],
      ],
    }),
  flatten: () => l.flatten(),
  permute: () => l.permute({dims: [3, 1, 2]}),
  reshape: () => l.reshape({targetShape: [6, 7, 4]}),
  dropout: () => l.dropout({rate: 0.4, seed}),
  'spatial dropout': () => l.dropout({rate: 0.5, noiseShape: [2, 1, 1, 4], seed}),
  batchNormalization: () => l.batchNormalization(),
  layerNormalization: () => l.layerNormalization(),
  reLU: () => l.reLU(),
  'reLU with maxValue': () => l.reLU({maxValue: 1}),
  leakyReLU: () => l.leakyReLU({alpha: 0.2}),
  prelu: () => l.prelu({alphaInitializer: 'glorotNormal'}),
  elu: () => l.elu(),
  softmax: () => l.softmax({axis: -1}),
};

const activations = [
  'elu',
  'hardSigmoid',
  'linear',
  'relu',
  'relu6',
  'selu',
  'sigmoid',
  'softmax',
  'softplus',
  'softsign',
  'tanh',
  'swish',
  'mish',
  'gelu',
  'gelu_new',
] as const;

const losses = [
  'meanSquaredError',
  'meanAbsoluteError',
  'meanAbsolutePercentageError',
  'meanSquaredLogarithmicError',
  'squaredHinge',
  'hinge',
  'categoricalHinge',
  'logcosh',
  'categoricalCrossentropy',
  'sparseCategoricalCrossentropy',
  'binaryCrossentropy',
  'kullbackLeiblerDivergence',
  'poisson',
  'cosineProximity',
] as const;

const optimizers: Record<string, () => tf.Optimizer> = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  'nesterov momentum': () => tf.train.momentum(0.1, 0.9, true),
  adam: () => tf.train.adam(0.01),
  adamax: () => tf.train.adamax(0.01),
  adagrad: () => tf.train.adagrad(0.1),
  adadelta: () => tf.train.adadelta(0.1),
  rmsprop: () => tf.train.rmsprop(0.01),
  'centered rmsprop': () => tf.train.rmsprop(0.01, 0.9, 0.5, 1e-7, true),
};

/** A small network with `layer` between two 1×1 convolutions. */
function imageTraining(
  layer: () => tfl.layers.Layer,
  {shape = image, batchSize = 2, optimizer = tf.train.sgd(1) as tf.Optimizer} = {},
): Training {
  const input = tfl.input({shape});
  let output = l.conv2d({filters: 4, kernelSize: 1}).apply(input);
  output = layer().apply(output);
  if ((output as tfl.SymbolicTensor).rank === 4) {
    output = l.conv2d({filters: 2, kernelSize: 1}).apply(output);
  }
  const model = tfl.model({inputs: input, outputs: output as tfl.SymbolicTensor});
  model.compile({optimizer, loss: 'meanSquaredError'});
  const [, ...outputShape] = model.outputs[0].shape as number[];
  return {
    model,
    x: randomTensor([batchSize, ...shape]),
    y: randomTensor([batchSize, ...outputShape]),
  };
}

describe('one training step equals that of the cpu backend', () => {
  afterAll(() => tf.setBackend(backendUnderTest));

  it.each(Object.keys(imageLayers))('with %s', name =>
    expectTrainingAsOnCpu(() => imageTraining(imageLayers[name])),
  );

  // One square image: for others the cpu backend's own gradient is wrong.
  it.each(['nearest', 'bilinear'] as const)('with upSampling2d, %s', interpolation =>
    expectTrainingAsOnCpu(() =>
      imageTraining(() => l.upSampling2d({size: [2, 3], interpolation}), {
        shape: [6, 6, 4],
        batchSize: 1,
      }),
    ),
  );

  it('with the layers of sequences', () =>
    expectTrainingAsOnCpu(() => {
      const model = tfl.sequential({
        layers: [
          l.embedding({inputDim: 7, outputDim: 4, inputLength: 9}),
          l.conv1d({filters: 5, kernelSize: 3, strides: 2, padding: 'same'}),
          l.maxPooling1d({poolSize: 2, strides: 1}),
          l.averagePooling1d({poolSize: 2, strides: 1}),
          l.globalAveragePooling1d({}),
        ],
      });
      model.compile({optimizer: tf.train.sgd(1), loss: 'meanSquaredError'});
      const ids = Array.from({length: 18}, (_, i) => (3 * i) % 7);
      return {model, x: tf.tensor2d(ids, [2, 9]), y: randomTensor([2, 5])};
    }));

  it.each(Object.keys(optimizers))('with the optimizer %s', name =>
    expectTrainingAsOnCpu(
      () =>
        imageTraining(() => l.conv2d({filters: 3, kernelSize: 3}), {
          optimizer: optimizers[name](),
        }),
      {steps: 2},
    ),
  );

  it.each(activations)('with the activation %s', activation =>
    expectTrainingAsOnCpu(() =>
      imageTraining(() => l.conv2d({filters: 3, kernelSize: 2, activation})),
    ),
  );

  it.each(losses)('with the loss %s', loss =>
    expectTrainingAsOnCpu(() => {
      const isSparse = loss === 'sparseCategoricalCrossentropy';
      const model = tfl.sequential({
        layers: [
          l.conv2d({filters: 4, kernelSize: 3, inputShape: image}),
          l.flatten(),
          l.dense({units: 5, activation: 'softmax'}),
        ],
      });
      model.compile({optimizer: tf.train.sgd(1), loss, metrics: []});
      const y = isSparse
        ? tf.tensor2d([[0], [3], [4]])
        : tf.softmax(randomTensor([3, 5], 0));
      return {model, x: randomTensor([3, ...image]), y};
    }),
  );
});
