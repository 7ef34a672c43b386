/**
 * Registers the kernels of this package for the wasm backend.
 *
 * The import of the backend comes first, so that its own kernels are registered before and
 * are replaced here, whichever of the two packages a program imports first.
 */
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

import {avgPool, avgPoolConfigs} from './avg_pool.js';
import {batchMatMul} from './batch_mat_mul.js';
import {conv2dWrappers} from './conv2d.js';
import {conv2dBackpropFilterConfig} from './conv2d_backprop_filter.js';
import {conv2dBackpropInputConfig} from './conv2d_backprop_input.js';
import {conv3dConfigs} from './conv3d.js';
import {depthwiseConv2dBackpropFilterConfig} from './depthwise_conv2d_backprop_filter.js';
import {depthwiseConv2dBackpropInputConfig} from './depthwise_conv2d_backprop_input.js';
import {identityConfig} from './identity.js';
import {maxPool, maxPoolConfigs} from './max_pool.js';
import {prelu} from './prelu.js';
import {sum} from './sum.js';
import {unsortedSegmentSumConfig} from './unsorted_segment_sum.js';

/** Kernels that the backend lacks, or that take the place of its own. */
const kernelConfigs: tf.KernelConfig[] = [
  conv2dBackpropFilterConfig,
  conv2dBackpropInputConfig,
  ...conv3dConfigs,
  depthwiseConv2dBackpropFilterConfig,
  depthwiseConv2dBackpropInputConfig,
  identityConfig,
  ...avgPoolConfigs,
  ...maxPoolConfigs,
  unsortedSegmentSumConfig,
];

/** Kernels that are the backend's own for the cases that these do well. */
const wrappers: Record<string, (ofBackend: tf.KernelFunc) => tf.KernelFunc> = {
  ...conv2dWrappers,
  [tf.AvgPool]: avgPool,
  [tf.BatchMatMul]: batchMatMul,
  [tf.MaxPool]: maxPool,
  [tf.Prelu]: prelu,
  [tf.Sum]: sum,
};

function register(config: tf.KernelConfig): void {
  const {kernelName, backendName} = config;
  // registerKernel warns of a kernel that is there already.
  if (tf.getKernel(kernelName, backendName) != null) {
    tf.unregisterKernel(kernelName, backendName);
  }
  tf.registerKernel(config);
}

kernelConfigs.forEach(register);
for (const [kernelName, wrap] of Object.entries(wrappers)) {
  const ofBackend = tf.getKernel(kernelName, 'wasm');
  register({...ofBackend, kernelFunc: wrap(ofBackend.kernelFunc)});
}
