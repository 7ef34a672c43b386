/**
 * DepthwiseConv2dNativeBackpropInput: the gradient of the input of a depthwise convolution,
 *
 *   dx[n, y, x, c] = Σ_{i, j, q} dy[n, h, w, c·m + q] · filter[i, j, c, q],
 *
 * summed over the taps (i, j) for which y = sh·h + dh·i − top and x = sw·w + dw·j − left have
 * a solution (h, w) in the output; m is the channel multiplier.
 *
 * Its phases are depthwise convolutions of dy, see conv_input_phases.ts, with inChannels · m
 * channels and the multiplier 1; the m results of an input channel are then added up.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {computeConvGeometry, ConvGeometry, Phase} from './conv_geometry.js';
import {backpropInputByPhases} from './conv_input_phases.js';
import {KernelArgs, wasmKernel} from './kernel.js';
import {heapValues, Temporaries} from './temporaries.js';

type Args = KernelArgs<
  {dy: tf.TensorInfo; filter: tf.TensorInfo},
  tf.DepthwiseConv2dNativeBackpropInputAttrs
>;

function depthwiseConv2dBackpropInput({inputs: {dy, filter}, attrs, backend}: Args) {
  const {inputShape} = attrs;
  const geometry = computeConvGeometry(
    tf.DepthwiseConv2dNativeBackpropInput,
    {input: inputShape, filter: filter.shape, depthwise: true},
    {dy, filter},
    attrs,
  );
  const {inChannels, outChannels} = geometry;
  return backpropInputByPhases(
    backend,
    geometry,
    inputShape,
    (temporaries, h, w, conv) => {
      const reversed = phaseFilter(backend, temporaries, geometry, filter, h, w);
      const dx = temporaries.run(
        tf.DepthwiseConv2dNative,
        {x: dy, filter: reversed},
        conv,
      );
      if (outChannels === inChannels) return dx;
      const perInput = [...dx.shape.slice(0, 3), inChannels, outChannels / inChannels];
      return temporaries.run(
        tf.Sum,
        {x: temporaries.view(dx, 0, perInput)},
        {axis: [4], keepDims: false},
      );
    },
  );
}

/** The filter of a phase, [taps of h, taps of w, outChannels, 1], reversed. */
function phaseFilter(
  backend: BackendWasm,
  temporaries: Temporaries,
  {outChannels, width}: ConvGeometry,
  filter: tf.TensorInfo,
  h: Phase,
  w: Phase,
): tf.TensorInfo {
  const result = temporaries.allocate([h.taps.length, w.taps.length, outChannels, 1]);
  const source = heapValues(backend, filter);
  const target = heapValues(backend, result);
  let to = 0;
  for (const tapH of [...h.taps].reverse()) {
    for (const tapW of [...w.taps].reverse()) {
      const from = (tapH.index * width.windowSize + tapW.index) * outChannels;
      target.set(source.subarray(from, from + outChannels), to);
      to += outChannels;
    }
  }
  return result;
}

export const depthwiseConv2dBackpropInputConfig = wasmKernel(
  tf.DepthwiseConv2dNativeBackpropInput,
  depthwiseConv2dBackpropInput,
);
