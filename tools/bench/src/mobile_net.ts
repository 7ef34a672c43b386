/**
 * The MobileNet of Howard et al., "MobileNets: Efficient Convolutional Neural Networks for
 * Mobile Vision Applications" (2017), table 1, a quarter as wide, with 16 blocks in place of 13.
 *
 * A block is a depthwise 3×3 convolution and a pointwise one, each followed by a norm and ReLU:
 * with the first convolution, 33 norms.
 */
import {resBatchNorm} from '@resbatchnorm/layer';
import * as tfl from '@tensorflow/tfjs-layers';

import {numClasses} from './cases.js';

/** By contender; `ours with activation` has the ReLU in the norm, the others as a layer. */
export const mobileNetNorms = [
  'ours',
  'ours with activation',
  'builtIn',
  'none',
] as const;
export type MobileNetNorm = (typeof mobileNetNorms)[number];

const width = 0.25;
const stemFilters = 32;
const stages = [
  {filters: 64, blocks: 1},
  {filters: 128, blocks: 2},
  {filters: 256, blocks: 2},
  {filters: 512, blocks: 9},
  {filters: 1024, blocks: 2},
];

type Tensor = tfl.SymbolicTensor;

/** Not compiled. Input [n, ...imageShape], output [n, numClasses]. */
export function mobileNet(
  imageShape: readonly number[],
  norm: MobileNetNorm,
): tfl.LayersModel {
  let seed = 0;
  const convArgs = () => ({
    padding: 'same' as const,
    useBias: norm === 'none', // A norm takes a bias away, and its beta replaces it.
  });
  const heNormal = () => tfl.initializers.heNormal({seed: ++seed});

  function conv(x: Tensor, filters: number, kernelSize: number, strides: number): Tensor {
    const layer = tfl.layers.conv2d({
      ...convArgs(),
      filters: width * filters,
      kernelSize,
      strides,
      kernelInitializer: heNormal(),
    });
    return normRelu(norm, apply(layer, x));
  }

  function depthwiseConv(x: Tensor, strides: number): Tensor {
    const layer = tfl.layers.depthwiseConv2d({
      ...convArgs(),
      kernelSize: 3,
      strides,
      // That of He et al.: each output has one channel of inputs, and heNormal counts them all.
      depthwiseInitializer: tfl.initializers.randomNormal({
        stddev: Math.sqrt(2 / 9),
        seed: ++seed,
      }),
    });
    return normRelu(norm, apply(layer, x));
  }

  const image = tfl.input({shape: [...imageShape]});
  let x = conv(image, stemFilters, 3, 2);
  for (const [stage, {filters, blocks}] of stages.entries()) {
    for (let block = 0; block < blocks; block++) {
      x = depthwiseConv(x, stage > 0 && block === 0 ? 2 : 1);
      x = conv(x, filters, 1, 1);
    }
  }
  x = apply(tfl.layers.globalAveragePooling2d({}), x);
  const classify = tfl.layers.dense({
    units: numClasses,
    activation: 'softmax',
    kernelInitializer: heNormal(),
  });
  return tfl.model({inputs: image, outputs: apply(classify, x)});
}

function normRelu(norm: MobileNetNorm, x: Tensor): Tensor {
  switch (norm) {
    case 'ours':
      return relu(apply(resBatchNorm(), x));
    case 'ours with activation':
      return apply(resBatchNorm({activation: 'relu'}), x);
    case 'builtIn':
      return relu(apply(tfl.layers.batchNormalization(), x));
    case 'none':
      return relu(x);
  }
}

function relu(x: Tensor): Tensor {
  return apply(tfl.layers.reLU(), x);
}

function apply(layer: tfl.layers.Layer, x: Tensor): Tensor {
  return layer.apply(x) as Tensor;
}
