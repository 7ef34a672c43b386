import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  expectTrainingAsOnCpu,
  randomTensor,
  setRandomWeights,
  Training,
} from '../test/same_training';

declare const backendUnderTest: string;

const l = tfl.layers;

/** A convolutional network with every kind of convolution, and a batch to train it on. */
function smallConvNet(): Training {
  const model = tfl.sequential({
    layers: [
      l.conv2d({filters: 8, kernelSize: 3, inputShape: [12, 12, 1], activation: 'relu'}),
      l.maxPooling2d({poolSize: 2}),
      l.depthwiseConv2d({kernelSize: 3, padding: 'same', activation: 'relu'}),
      l.conv2d({filters: 8, kernelSize: 3, strides: 2, padding: 'same'}),
      l.leakyReLU(),
      l.flatten(),
      l.dense({units: 3, activation: 'softmax'}),
    ],
  });
  model.compile({
    optimizer: tf.train.momentum(0.05, 0.9),
    loss: 'categoricalCrossentropy',
  });
  return {
    model,
    x: randomTensor([6, 12, 12, 1]),
    y: tf.tidy(() => tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2], 'int32'), 3)),
  };
}

describe('a small convolutional network', () => {
  it('has the weights of the cpu backend after three steps', async () => {
    await expectTrainingAsOnCpu(smallConvNet, {steps: 3, rtol: 1e-4, atol: 1e-6});
    await tf.setBackend(backendUnderTest);
  });

  it('learns, and leaves no tensors behind', async () => {
    const {model, x, y} = smallConvNet();
    setRandomWeights(model);
    const count = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()];
    const first = (await model.trainOnBatch(x, y)) as number;
    const before = count();
    let last = first;
    for (let step = 0; step < 40; step++) {
      last = (await model.trainOnBatch(x, y)) as number;
    }
    expect(last).toBeLessThan(first / 2);
    expect(count()).toEqual(before);
    tf.dispose([x, y]);
    model.dispose();
  });
});
