/** What every kernel of this package is made with: its entry in the registry, its errors. */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

/** What a kernel gets from the engine. */
export interface KernelArgs<Inputs, Attrs> {
  inputs: Inputs;
  attrs: Attrs;
  backend: BackendWasm;
}

/** A kernel of the wasm backend. */
export function wasmKernel<Inputs, Attrs>(
  kernelName: string,
  kernelFunc: (args: KernelArgs<Inputs, Attrs>) => tf.TensorInfo | tf.TensorInfo[],
): tf.KernelConfig {
  return {
    kernelName,
    backendName: 'wasm',
    kernelFunc: kernelFunc as unknown as tf.KernelFunc,
  };
}

/**
 * The error of a kernel that cannot compute what it is asked for: what it expects, and what
 * it received, as it is written in JavaScript.
 */
export function refusal(kernelName: string, expected: string, received: unknown): Error {
  const shown =
    typeof received === 'number' ? String(received) : JSON.stringify(received);
  return new Error(
    `${kernelName} of the wasm backend expects ${expected}. Received: ${shown}`,
  );
}
