/** Finds the kernel for the current backend and runs it. */
import * as tf from '@tensorflow/tfjs-core';

import {cpuKernels} from './arrays/cpu.js';
import {composedKernels} from './composed/kernels.js';
import {kernelNames, type AllKernels, type Kernel, type KernelName} from './kernel.js';
import {tensorflowKernels} from './tensorflow/kernels.js';
import {wasmKernels} from './wasm/kernels.js';
import {webglKernels} from './webgl/kernels.js';
import {webgpuKernels} from './webgpu/kernels.js';

/** The backends that kernels were written for. A new one is a folder and a line here. */
const kernelsOfBackend: Record<string, Partial<AllKernels>> = {
  cpu: cpuKernels,
  tensorflow: tensorflowKernels,
  wasm: wasmKernels,
  webgl: webglKernels,
  webgpu: webgpuKernels,
};

/**
 * `tf.env().set('RES_BATCH_NORM_KERNELS', false)` makes every backend run the composed kernels,
 * to compare them with.
 */
const KERNELS_FLAG = 'RES_BATCH_NORM_KERNELS';
tf.env().registerFlag(KERNELS_FLAG, () => true);

/** The backends whose kernels are registered. */
const registered = new Set<string>();

/** Registers all kernels for a backend, but those that another copy of this module has. */
function register(backendName: string): void {
  registered.add(backendName);
  for (const kernelName of Object.keys(kernelNames) as KernelName[]) {
    if (tf.getKernel(kernelName, backendName) !== undefined) continue;
    const name = kernelNames[kernelName];
    // Whatever the kernel, the engine hands over what its type in AllKernels says.
    type AnyKernel = Kernel<unknown, unknown>;
    const own = kernelsOfBackend[backendName]?.[name] as AnyKernel | undefined;
    const composed = composedKernels[name] as AnyKernel;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({inputs, attrs, backend}) => {
        const isOn = tf.env().getBool(KERNELS_FLAG);
        const outputs = isOn ? own?.(inputs, attrs, backend as tf.KernelBackend) : null;
        return outputs ?? composed(inputs, attrs, backend as tf.KernelBackend)!;
      },
    });
  }
}

/**
 * Runs a kernel on the current backend. TensorFlow.js knows kernels by backend, and backends
 * may come that nobody knew of here, so those of a backend are registered when it is first used.
 */
export function runKernel(
  name: KernelName,
  inputs: tf.NamedTensorMap,
  attrs: tf.NamedAttrMap,
): tf.Tensor[] {
  const backendName = tf.getBackend();
  if (!registered.has(backendName)) register(backendName);
  return tf.engine().runKernel(name, inputs, attrs) as unknown as tf.Tensor[];
}
