/**
 * Conv2DBackpropInput: the gradient of the input of a 2-D convolution,
 *
 *   dx[n, y, x, c] = Σ_{i, j, k} dy[n, h, w, k] · filter[i, j, c, k],
 *
 * summed over the taps (i, j) for which y = sh·h + i − top and x = sw·w + j − left have a
 * solution (h, w) in the output.
 *
 * Its phases are convolutions of dy with parts of the filter whose channels are swapped, see
 * conv_input_phases.ts.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

import {computeConvGeometry, ConvGeometry, Phase} from './conv_geometry.js';
import {backpropInputByPhases} from './conv_input_phases.js';
import {KernelArgs, wasmKernel} from './kernel.js';
import {heapValues, Temporaries} from './temporaries.js';

type Args = KernelArgs<
  {dy: tf.TensorInfo; filter: tf.TensorInfo},
  tf.Conv2DBackpropInputAttrs
>;

function conv2dBackpropInput({inputs: {dy, filter}, attrs, backend}: Args) {
  const {inputShape} = attrs;
  const geometry = computeConvGeometry(
    tf.Conv2DBackpropInput,
    {input: inputShape, filter: filter.shape},
    {dy, filter},
    attrs,
  );
  return backpropInputByPhases(
    backend,
    geometry,
    inputShape,
    (temporaries, h, w, conv) => {
      const reversed = phaseFilter(backend, temporaries, geometry, filter, h, w);
      return temporaries.run(tf.Conv2D, {x: dy, filter: reversed}, conv);
    },
  );
}

/** The filter of a phase, [taps of h, taps of w, outChannels, inChannels], reversed. */
function phaseFilter(
  backend: BackendWasm,
  temporaries: Temporaries,
  {inChannels, outChannels, width}: ConvGeometry,
  filter: tf.TensorInfo,
  h: Phase,
  w: Phase,
): tf.TensorInfo {
  const result = temporaries.allocate([
    h.taps.length,
    w.taps.length,
    outChannels,
    inChannels,
  ]);
  const source = heapValues(backend, filter);
  const target = heapValues(backend, result);
  const size = inChannels * outChannels;
  let to = 0;
  for (const tapH of [...h.taps].reverse()) {
    for (const tapW of [...w.taps].reverse()) {
      const from = (tapH.index * width.windowSize + tapW.index) * size;
      for (let k = 0; k < outChannels; k++) {
        for (let c = 0; c < inChannels; c++) {
          target[to++] = source[from + c * outChannels + k];
        }
      }
    }
  }
  return result;
}

export const conv2dBackpropInputConfig = wasmKernel(
  tf.Conv2DBackpropInput,
  conv2dBackpropInput,
);
