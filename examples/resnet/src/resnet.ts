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
import {resBatchNorm} from '@resbatchnorm/layer';
import * as tfl from '@tensorflow/tfjs-layers';

import type {NormName} from './norms.js';
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
  const nextSeed = () => Math.floor(random.next() * 2 ** 31);
  const conv3x3 = (x: tfl.SymbolicTensor, name: string, filters: number, strides = 1) =>
    conv(norm, x, name, {filters, kernelSize: 3, strides, seed: nextSeed()});

  function block(x: tfl.SymbolicTensor, name: string, filters: number, strides: number) {
    const first = conv3x3(x, `${name}_1`, filters, strides);
    const y = conv3x3(normRelu(norm, first, `${name}_1`), `${name}_2`, filters);
    if (strides === 1) return normAddRelu(norm, y, x, `${name}_2`);
    const ofShortcut = `${name}_shortcut`;
    const args = {filters, kernelSize: 1, strides, seed: nextSeed()};
    const shortcut = applyNorm(norm, conv(norm, x, ofShortcut, args), ofShortcut);
    return normAddRelu(norm, y, shortcut, `${name}_2`);
  }

  const input = tfl.input({shape: imageShape, name: 'image'});
  let x = normRelu(norm, conv3x3(input, 'stem', stageChannels[0]), 'stem');
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
    kernelInitializer: tfl.initializers.heNormal({seed: nextSeed()}),
  });
  return tfl.model({inputs: input, outputs: apply(classify, x), name: `resnet${depth}`});
}

interface ConvArgs {
  filters: number;
  kernelSize: number;
  strides?: number;
  /** Of the initial kernel. */
  seed: number;
}

/** A convolution that a norm follows, or nothing. */
export function conv(
  norm: NormName,
  x: tfl.SymbolicTensor,
  name: string,
  {filters, kernelSize, strides = 1, seed}: ConvArgs,
): tfl.SymbolicTensor {
  const layer = tfl.layers.conv2d({
    name: `${name}_conv`,
    filters,
    kernelSize,
    strides,
    padding: 'same',
    useBias: norm === 'none', // A norm takes a bias away, and its beta replaces it.
    kernelInitializer: tfl.initializers.heNormal({seed}),
  });
  return apply(layer, x);
}

// The same for both norms, so that they can be compared: the built-in's momentum is 0.99.
const normArgs = {momentum: 0.9, epsilon: 1e-3};
/** Synchronized: that changes nothing where there is one replica. */
const resNormArgs = {...normArgs, synchronized: true};

/** norm(x). */
export function applyNorm(norm: NormName, x: tfl.SymbolicTensor, name: string) {
  switch (norm) {
    case 'res':
      return apply(resBatchNorm({...resNormArgs, name: `${name}_norm`}), x);
    case 'builtin':
      return apply(tfl.layers.batchNormalization({...normArgs, name: `${name}_norm`}), x);
    case 'none':
      return x;
  }
}

/** ReLU(norm(x)): one layer with ResBatchNorm. */
export function normRelu(norm: NormName, x: tfl.SymbolicTensor, name: string) {
  if (norm === 'res') {
    const layer = resBatchNorm({
      ...resNormArgs,
      activation: 'relu',
      name: `${name}_norm`,
    });
    return apply(layer, x);
  }
  return apply(tfl.layers.reLU({name: `${name}_relu`}), applyNorm(norm, x, name));
}

/** ReLU(norm(x) + shortcut), the end of a block: one layer with ResBatchNorm. */
export function normAddRelu(
  norm: NormName,
  x: tfl.SymbolicTensor,
  shortcut: tfl.SymbolicTensor,
  name: string,
) {
  if (norm === 'res') {
    const layer = resBatchNorm({
      ...resNormArgs,
      activation: 'relu',
      name: `${name}_norm`,
    });
    return apply(layer, [x, shortcut]);
  }
  const sum = apply(tfl.layers.add({name: `${name}_add`}), [
    applyNorm(norm, x, name),
    shortcut,
  ]);
  return apply(tfl.layers.reLU({name: `${name}_relu`}), sum);
}

/** The output of a layer that is new to the model. */
export function apply(
  layer: tfl.layers.Layer,
  x: tfl.SymbolicTensor | tfl.SymbolicTensor[],
): tfl.SymbolicTensor {
  return layer.apply(x) as tfl.SymbolicTensor;
}
