/** The networks that are trained, with each kind of norm. */
import {
  apply,
  applyNorm,
  conv,
  normAddRelu,
  type NormName,
  normRelu,
  resNet,
  type ResNetArgs,
} from '@resbatchnorm/resnet';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {type Network, numClasses} from './cases.js';

const seed = 1;

/** Not compiled. */
export function makeModel({name, imageShape}: Network, norm: NormName): tfl.LayersModel {
  switch (name) {
    case 'ResNet-8':
      return resNet({depth: 8, imageShape, numClasses, norm, seed});
    case 'ResNet-20':
      return resNet({depth: 20, imageShape, numClasses, norm, seed});
    case 'ResNet-50 style':
      return bottleneckResNet({imageShape, numClasses, norm, seed});
  }
}

/** Random images, and labels in turns. The caller disposes of them. */
export function makeBatch({batchSize, imageShape}: Network) {
  const xs = tf.randomNormal([batchSize, ...imageShape], 0, 1, 'float32', seed);
  const labels = Array.from({length: batchSize}, (_, i) => i % numClasses);
  const ys = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), numClasses));
  return {xs, ys};
}

const stages = [
  {filters: 64, blocks: 3},
  {filters: 128, blocks: 4},
  {filters: 256, blocks: 6},
  {filters: 512, blocks: 3},
];
const expansion = 4;

type Tensor = tfl.SymbolicTensor;

/**
 * The ResNet-50 of He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition"
 * (2015), table 1, for images of any size: a 7×7 convolution and a max pooling, both with
 * stride 2, four stages of 3, 4, 6 and 3 bottleneck blocks, global average pooling and a dense
 * softmax.
 *
 * A block is y = ReLU(F(x) + shortcut(x)) with F = 1×1 conv–norm–ReLU, 3×3 conv–norm–ReLU,
 * 1×1 conv–norm to four times the channels. As in most libraries, the stride of a stage is in
 * the 3×3 convolution of its first block.
 *
 * The model is not compiled. Input [n, ...imageShape], output [n, numClasses].
 */
function bottleneckResNet(args: Omit<ResNetArgs, 'depth'>): tfl.LayersModel {
  const {imageShape, numClasses, norm, seed} = args;
  const conv1x1 = (x: Tensor, name: string, filters: number, strides = 1) =>
    conv(norm, x, name, {filters, kernelSize: 1, strides, seed});

  function block(x: Tensor, name: string, filters: number, strides: number): Tensor {
    const outFilters = expansion * filters;
    const [first, second, third] = [1, 2, 3].map(i => `${name}_${i}`);
    let y = normRelu(norm, conv1x1(x, first, filters), first);
    y = conv(norm, y, second, {filters, kernelSize: 3, strides, seed});
    y = conv1x1(normRelu(norm, y, second), third, outFilters);
    if (strides === 1 && x.shape.at(-1) === outFilters) {
      return normAddRelu(norm, y, x, third);
    }
    const ofShortcut = `${name}_shortcut`;
    const projected = conv1x1(x, ofShortcut, outFilters, strides);
    return normAddRelu(norm, y, applyNorm(norm, projected, ofShortcut), third);
  }

  const input = tfl.input({shape: imageShape});
  const stem = conv(norm, input, 'stem', {filters: 64, kernelSize: 7, strides: 2, seed});
  const pool = tfl.layers.maxPooling2d({poolSize: 3, strides: 2, padding: 'same'});
  let x = apply(pool, normRelu(norm, stem, 'stem'));
  for (const [stage, {filters, blocks}] of stages.entries()) {
    for (let i = 0; i < blocks; i++) {
      const name = `stage${stage + 1}_block${i + 1}`;
      x = block(x, name, filters, stage > 0 && i === 0 ? 2 : 1);
    }
  }
  x = apply(tfl.layers.globalAveragePooling2d({}), x);
  const classify = tfl.layers.dense({
    units: numClasses,
    activation: 'softmax',
    kernelInitializer: tfl.initializers.heNormal({seed}),
  });
  return tfl.model({inputs: input, outputs: apply(classify, x)});
}
