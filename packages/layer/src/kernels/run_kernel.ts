/** Finds the kernel for the current backend and runs it. */
import * as tf from '@tensorflow/tfjs-core';

import {composedKernels} from './composed/index.js';
import {cpuKernels} from './cpu/index.js';
import type {KernelName, Kernels} from './kernel.js';

/** The backends that kernels were written for. A new one is a folder and a line here. */
const kernelsOfBackend: Record<string, Kernels> = {
  cpu: cpuKernels,
};

function register(kernelName: KernelName, backendName: string): void {
  const kernelFunc =
    kernelsOfBackend[backendName]?.[kernelName] ?? composedKernels[kernelName];
  tf.registerKernel({kernelName, backendName, kernelFunc});
}

/**
 * Runs a kernel on the current backend. TensorFlow.js knows kernels by backend, and backends
 * may come that nobody knew of here, so a kernel is registered when first asked for.
 */
export function runKernel(
  name: KernelName,
  inputs: tf.NamedTensorMap,
  attrs: tf.NamedAttrMap,
): tf.Tensor[] {
  const backendName = tf.getBackend();
  if (tf.getKernel(name, backendName) == null) register(name, backendName);
  const outputs = tf.engine().runKernel(name, inputs, attrs) as tf.Tensor | tf.Tensor[];
  return Array.isArray(outputs) ? outputs : [outputs];
}
