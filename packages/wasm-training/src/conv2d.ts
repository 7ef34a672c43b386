/**
 * The 2-D convolutions of the backend, plain and depthwise, alone or fused with a bias and an
 * activation: its own kernels, given windows that were checked, and paddings in numbers.
 *
 * Left to themselves, they
 * - leave the output unwritten where the padding is 'same' and a stride is so much larger
 *   than the filter that the windows leave inputs out;
 * - write past the end of the output where tfjs-core computed another size for it than the
 *   windows have (windows.ts), or the size was rounded up;
 * - apply slopes of prelu in the order of the memory (prelu.ts), and leave the output
 *   unwritten if slopes come with another activation;
 * - take 0 for the slope of leakyrelu if none is given, where training takes 0.2.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {computeConvolution, Convolution} from './convolution.js';
import {refusal} from './kernel.js';
import {slopesFor} from './prelu.js';
import {Temporaries} from './temporaries.js';
import {explicitAttrs, WindowAttrs} from './windows.js';

/** Slope of leakyrelu where none is given, that of tf.leakyRelu. */
const DEFAULT_SLOPE = 0.2;

const ACTIVATIONS = ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'prelu', 'leakyrelu'];

interface Inputs {
  x: tf.TensorInfo;
  filter: tf.TensorInfo;
  bias?: tf.TensorInfo;
  preluActivationWeights?: tf.TensorInfo;
}

interface Args {
  inputs: Inputs;
  attrs: WindowAttrs & {activation?: string; leakyreluAlpha?: number};
  backend: BackendWasm;
}

/** Makes one of the four kernels out of the backend's own. */
function wrapper(
  kernelName: string,
  {depthwise, fused}: {depthwise: boolean; fused: boolean},
) {
  return (ofBackend: tf.KernelFunc): tf.KernelFunc => {
    function kernelFunc({inputs, attrs, backend}: Args) {
      const {x, filter} = inputs;
      const shapes = {input: x.shape, filter: filter.shape, depthwise};
      const convolution = computeConvolution(kernelName, shapes, {x, filter}, attrs);
      const temporaries = new Temporaries(backend);
      try {
        const epilogue = fused
          ? fusedInputs(kernelName, convolution, inputs, attrs, temporaries)
          : {};
        if (convolution.batchSize === 0) {
          return backend.makeOutput(convolution.outShape, 'float32');
        }
        return ofBackend({
          inputs: {x, filter, ...epilogue},
          attrs: {
            dataFormat: 'NHWC',
            activation: attrs.activation ?? 'linear',
            leakyreluAlpha: attrs.leakyreluAlpha ?? DEFAULT_SLOPE,
            ...explicitAttrs(convolution.axes),
          } as unknown as tf.NamedAttrMap,
          backend,
        });
      } finally {
        temporaries.dispose();
      }
    }
    return kernelFunc as unknown as tf.KernelFunc;
  };
}

/** Bias and slopes as the backend's fused kernels take them. */
function fusedInputs(
  kernelName: string,
  {outChannels, outShape}: Convolution,
  {bias, preluActivationWeights}: Inputs,
  {activation = 'linear'}: Args['attrs'],
  temporaries: Temporaries,
): tf.NamedTensorInfoMap {
  if (!ACTIVATIONS.includes(activation)) {
    throw refusal(kernelName, `an activation of ${ACTIVATIONS.join(', ')}`, activation);
  }
  const inputs: tf.NamedTensorInfoMap = {};
  if (bias != null) inputs.bias = biasOf(kernelName, bias, outChannels, temporaries);
  if (activation === 'prelu') {
    if (preluActivationWeights == null) {
      throw refusal(kernelName, 'slopes for the activation prelu', undefined);
    }
    inputs.preluActivationWeights = slopesFor(
      kernelName,
      preluActivationWeights,
      outShape,
      temporaries,
    );
  }
  return inputs;
}

/** The bias in the shape [channels]. */
function biasOf(
  kernelName: string,
  bias: tf.TensorInfo,
  channels: number,
  temporaries: Temporaries,
): tf.TensorInfo {
  const size = tf.util.sizeFromShape(bias.shape);
  const ofChannels = size === channels && bias.shape[bias.shape.length - 1] === channels;
  if (bias.dtype !== 'float32' || !(ofChannels || size === 1)) {
    throw refusal(
      kernelName,
      `a float32 bias with one value, or one for each of ${channels} channels`,
      `${bias.dtype} [${bias.shape}]`,
    );
  }
  // A bias as it is keeps the operator that the backend stored for it and the filter.
  if (ofChannels && temporaries.storedRank(bias) === 1) return bias;
  if (ofChannels) return temporaries.view(bias, 0, [channels]);
  return temporaries.run(
    tf.Tile,
    {x: temporaries.view(bias, 0, [1])},
    {reps: [channels]},
  );
}

/** Wrappers of the backend's kernels, by their names. */
export const conv2dWrappers = {
  [tf.Conv2D]: wrapper(tf.Conv2D, {depthwise: false, fused: false}),
  [tf.FusedConv2D]: wrapper(tf.FusedConv2D, {depthwise: false, fused: true}),
  [tf.DepthwiseConv2dNative]: wrapper(tf.DepthwiseConv2dNative, {
    depthwise: true,
    fused: false,
  }),
  [tf.FusedDepthwiseConv2D]: wrapper(tf.FusedDepthwiseConv2D, {
    depthwise: true,
    fused: true,
  }),
};
