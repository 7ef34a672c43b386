/**
 * The ResNet for small images of He, Zhang, Ren and Sun, "Deep Residual Learning for Image
 * Recognition" (2015), section 4.2: a 3×3 convolution, three stages of n blocks with 16, 32
 * and 64 channels, global average pooling and a dense softmax; 6n + 2 layers in all.
 *
 * A block is y = ReLU(F(x) + shortcut(x)) with F = conv–norm–ReLU–conv–norm. Where a stage
 * halves the image and doubles the channels, the shortcut is a 1×1 convolution with stride 2
 * and a norm (the paper's option B) rather than padding with zeros (option A): it takes no
 * layer of this program's own, so the saved model loads without it.
 */
import {resBatchNorm} from '@resbatchnorm/layer';
import * as tfl from '@tensorflow/tfjs-layers';

import type {NormName} from './options.js';
import {Random} from './random.js';

export interface ResNetArgs {
  /** 6n + 2, with n ≥ 1 blocks a stage. */
  depth: number;
  /** Height, width, channels. */
  imageShape: [number, number, number];
  numClasses: number;
  norm: NormName;
  /** Of the initial weights. */
  seed: number;
}

const stageChannels = [16, 32, 64];

// The same for both norms, so that they can be compared: the built-in's momentum is 0.99.
const normArgs = {momentum: 0.9, epsilon: 1e-3};

/** Builds the model, not compiled. Input [n, ...imageShape], output [n, numClasses]. */
export function resNet(args: ResNetArgs): tfl.LayersModel {
  const {depth, imageShape, numClasses, norm, seed} = args;
  const random = new Random(seed);
  const heNormal = () =>
    tfl.initializers.heNormal({seed: Math.floor(random.next() * 2 ** 31)});

  function convNorm(
    x: tfl.SymbolicTensor,
    name: string,
    {filters, kernelSize = 3, strides = 1}: ConvArgs,
  ): tfl.SymbolicTensor {
    const conv = tfl.layers.conv2d({
      name: `${name}_conv`,
      filters,
      kernelSize,
      strides,
      padding: 'same',
      useBias: norm === 'none', // A norm takes a bias away, and its beta replaces it.
      kernelInitializer: heNormal(),
    });
    return applyNorm(norm, apply(conv, x), `${name}_norm`);
  }

  function block(x: tfl.SymbolicTensor, name: string, filters: number, strides: number) {
    let y = relu(convNorm(x, `${name}_1`, {filters, strides}), `${name}_1_relu`);
    y = convNorm(y, `${name}_2`, {filters});
    const shortcut =
      strides === 1
        ? x
        : convNorm(x, `${name}_shortcut`, {filters, kernelSize: 1, strides});
    const sum = tfl.layers.add({name: `${name}_add`}).apply([y, shortcut]);
    return relu(sum as tfl.SymbolicTensor, `${name}_relu`);
  }

  const input = tfl.input({shape: imageShape, name: 'image'});
  let x = relu(convNorm(input, 'stem', {filters: stageChannels[0]}), 'stem_relu');
  const blocksPerStage = (depth - 2) / 6;
  stageChannels.forEach((filters, stage) => {
    for (let i = 0; i < blocksPerStage; i++) {
      const strides = stage > 0 && i === 0 ? 2 : 1;
      x = block(x, `stage${stage + 1}_block${i + 1}`, filters, strides);
    }
  });
  x = apply(tfl.layers.globalAveragePooling2d({name: 'pool'}), x);
  const classify = tfl.layers.dense({
    name: 'classes',
    units: numClasses,
    activation: 'softmax',
    kernelInitializer: heNormal(),
  });
  return tfl.model({inputs: input, outputs: apply(classify, x), name: `resnet${depth}`});
}

interface ConvArgs {
  filters: number;
  kernelSize?: number;
  strides?: number;
}

function applyNorm(norm: NormName, x: tfl.SymbolicTensor, name: string) {
  switch (norm) {
    case 'res':
      return apply(resBatchNorm({...normArgs, name}), x);
    case 'builtin':
      return apply(tfl.layers.batchNormalization({...normArgs, name}), x);
    case 'none':
      return x;
  }
}

function relu(x: tfl.SymbolicTensor, name: string): tfl.SymbolicTensor {
  return apply(tfl.layers.reLU({name}), x);
}

function apply(layer: Layer, x: tfl.SymbolicTensor): tfl.SymbolicTensor {
  return layer.apply(x) as tfl.SymbolicTensor;
}

type Layer = tfl.LayersModel['layers'][number];
