/**
 * The ResNet for small images of He, Zhang, Ren and Sun, "Deep Residual Learning for Image
 * Recognition" (2015), section 4.2: a 3×3 convolution, three stages of n blocks with 16, 32
 * and 64 channels, global average pooling and a dense softmax; 6n + 2 layers in all.
 *
 * A block is y = ReLU(F(x) + shortcut(x)) with F = conv–norm–ReLU–conv–norm. Where a stage
 * halves the image and doubles the channels, the shortcut is a 1×1 convolution with stride 2
 * and a norm (the paper's option B) rather than padding with zeros (option A): it takes no
 * layer of this program's own, so the saved model loads without it.
 *
 * With ResBatchNorm, the norm, the sum and the ReLU are one layer.
 */
import * as tfl from '@tensorflow/tfjs-layers';

import {apply, applyNorm, normAddRelu, normRelu} from './norm_layers.js';
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

/** Builds the model, not compiled. Input [n, ...imageShape], output [n, numClasses]. */
export function resNet(args: ResNetArgs): tfl.LayersModel {
  const {depth, imageShape, numClasses, norm, seed} = args;
  const random = new Random(seed);
  const heNormal = () =>
    tfl.initializers.heNormal({seed: Math.floor(random.next() * 2 ** 31)});

  function conv(
    x: tfl.SymbolicTensor,
    name: string,
    {filters, kernelSize = 3, strides = 1}: ConvArgs,
  ): tfl.SymbolicTensor {
    const layer = tfl.layers.conv2d({
      name: `${name}_conv`,
      filters,
      kernelSize,
      strides,
      padding: 'same',
      useBias: norm === 'none', // A norm takes a bias away, and its beta replaces it.
      kernelInitializer: heNormal(),
    });
    return apply(layer, x);
  }

  function block(x: tfl.SymbolicTensor, name: string, filters: number, strides: number) {
    const first = conv(x, `${name}_1`, {filters, strides});
    const y = conv(normRelu(norm, first, `${name}_1`), `${name}_2`, {filters});
    const shortcut =
      strides === 1
        ? x
        : applyNorm(
            norm,
            conv(x, `${name}_shortcut`, {filters, kernelSize: 1, strides}),
            `${name}_shortcut`,
          );
    return normAddRelu(norm, y, shortcut, `${name}_2`);
  }

  const input = tfl.input({shape: imageShape, name: 'image'});
  let x = normRelu(norm, conv(input, 'stem', {filters: stageChannels[0]}), 'stem');
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
