/**
 * What is trained, saved and timed: a ResNet of the trainer, of the usual size, on handwritten
 * digits in the shape of CIFAR's images.
 */
import {
  type ImageDataset,
  type LabelledImages,
  loadDigits,
  nesterov,
  type NormName,
  normalizationOf,
  resNet,
} from '@resbatchnorm/resnet';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';

const side = 32;
const channels = 3;

export async function loadPaddedDigits() {
  const digits = await loadDigits();
  const dataset: ImageDataset = {
    ...digits,
    imageShape: [side, side, channels],
    train: padded(digits.train, digits.imageShape),
    test: padded(digits.test, digits.imageShape),
  };
  return {dataset, normalization: normalizationOf(dataset)};
}

/** Grey images in the middle of a border of zeros, the same in all channels. */
export function padded(
  {pixels, labels}: LabelledImages,
  [height, width]: readonly number[],
): LabelledImages {
  const [top, left] = [(side - height) >> 1, (side - width) >> 1];
  const result = new Uint8Array(labels.length * side * side * channels);
  pixels.forEach((value, i) => {
    const [n, y, x] = [
      Math.floor(i / (height * width)),
      Math.floor(i / width) % height,
      i % width,
    ];
    const at = ((n * side + top + y) * side + left + x) * channels;
    result.fill(value, at, at + channels);
  });
  return {pixels: result, labels};
}

export type Digits = Awaited<ReturnType<typeof loadPaddedDigits>>;

export function makeModel(
  {dataset}: Digits,
  depth: number,
  norm: NormName = 'res',
): tfl.LayersModel {
  return resNet({...dataset, depth, norm, seed: 1});
}

/** With the trainer's optimizer, which is returned. */
export function compile(
  model: tfl.LayersModel,
  learningRate: number,
): tf.MomentumOptimizer {
  const optimizer = nesterov(learningRate);
  model.compile({optimizer, loss: 'categoricalCrossentropy'});
  return optimizer;
}

/** An optimizer's own `dispose` leaves the tensor of the learning rate behind. */
export function disposeOptimizer(optimizer: tf.MomentumOptimizer): void {
  optimizer.dispose();
  tf.dispose((optimizer as unknown as {c: tf.Scalar}).c);
}
