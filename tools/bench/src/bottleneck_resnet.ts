/**
 * The ResNet-50 of He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition"
 * (2015), table 1, for images of any size: a 7×7 convolution and a max pooling, both with
 * stride 2, four stages of 3, 4, 6 and 3 bottleneck blocks, global average pooling and a dense
 * softmax.
 *
 * A block is y = ReLU(F(x) + shortcut(x)) with F = 1×1 conv–norm–ReLU, 3×3 conv–norm–ReLU,
 * 1×1 conv–norm to four times the channels. As in most libraries, the stride of a stage is in
 * the 3×3 convolution of its first block.
 */
import {resBatchNorm} from '@resbatchnorm/layer';
import type {NormName} from '@resbatchnorm/resnet';
import * as tfl from '@tensorflow/tfjs-layers';

const stages = [
  {filters: 64, blocks: 3},
  {filters: 128, blocks: 4},
  {filters: 256, blocks: 6},
  {filters: 512, blocks: 3},
];
const expansion = 4;

const normArgs = {momentum: 0.9, epsilon: 1e-3};

export interface BottleneckResNetArgs {
  /** Height, width, channels. */
  imageShape: [number, number, number];
  numClasses: number;
  norm: NormName;
  /** Of the initial weights. */
  seed: number;
}

type Tensor = tfl.SymbolicTensor;

/** Builds the model, not compiled. Input [n, ...imageShape], output [n, numClasses]. */
export function bottleneckResNet(args: BottleneckResNetArgs): tfl.LayersModel {
  const {imageShape, numClasses, norm, seed} = args;
  const heNormal = () => tfl.initializers.heNormal({seed});

  function conv(x: Tensor, filters: number, kernelSize: number, strides = 1): Tensor {
    const layer = tfl.layers.conv2d({
      filters,
      kernelSize,
      strides,
      padding: 'same',
      useBias: norm === 'none', // A norm takes a bias away, and its beta replaces it.
      kernelInitializer: heNormal(),
    });
    return layer.apply(x) as Tensor;
  }

  function block(x: Tensor, filters: number, strides: number): Tensor {
    const outFilters = expansion * filters;
    let y = normRelu(norm, conv(x, filters, 1));
    y = normRelu(norm, conv(y, filters, 3, strides));
    const isSameShape = strides === 1 && x.shape.at(-1) === outFilters;
    const shortcut = isSameShape ? x : normOnly(norm, conv(x, outFilters, 1, strides));
    return normAddRelu(norm, conv(y, outFilters, 1), shortcut);
  }

  const input = tfl.input({shape: imageShape});
  let x = normRelu(norm, conv(input, 64, 7, 2));
  const pool = tfl.layers.maxPooling2d({poolSize: 3, strides: 2, padding: 'same'});
  x = pool.apply(x) as Tensor;
  for (const [stage, {filters, blocks}] of stages.entries()) {
    for (let i = 0; i < blocks; i++) {
      x = block(x, filters, stage > 0 && i === 0 ? 2 : 1);
    }
  }
  x = tfl.layers.globalAveragePooling2d({}).apply(x) as Tensor;
  const classify = tfl.layers.dense({
    units: numClasses,
    activation: 'softmax',
    kernelInitializer: heNormal(),
  });
  return tfl.model({inputs: input, outputs: classify.apply(x) as Tensor});
}

/** The norm alone, as of a shortcut. */
function normOnly(norm: NormName, x: Tensor): Tensor {
  switch (norm) {
    case 'res':
      return resBatchNorm(normArgs).apply(x) as Tensor;
    case 'builtin':
      return tfl.layers.batchNormalization(normArgs).apply(x) as Tensor;
    case 'none':
      return x;
  }
}

/** ReLU(norm(x)), for ResBatchNorm in one layer. */
function normRelu(norm: NormName, x: Tensor): Tensor {
  return norm === 'res'
    ? (resBatchNorm({...normArgs, activation: 'relu'}).apply(x) as Tensor)
    : relu(normOnly(norm, x));
}

/** ReLU(norm(x) + shortcut), for ResBatchNorm in one layer. */
function normAddRelu(norm: NormName, x: Tensor, shortcut: Tensor): Tensor {
  return norm === 'res'
    ? (resBatchNorm({...normArgs, activation: 'relu'}).apply([x, shortcut]) as Tensor)
    : relu(tfl.layers.add().apply([normOnly(norm, x), shortcut]) as Tensor);
}

function relu(x: Tensor): Tensor {
  return tfl.layers.reLU().apply(x) as Tensor;
}
