/** The kernels of the `wasm` backend: passes over its heap, where the tensors are. */
import type {TensorInfo} from '@tensorflow/tfjs-core';

import {arrayKernels, arraysOf, type Host} from '../arrays/kernels.js';
import {javaScriptPasses} from '../arrays/passes.js';
import {normModule, type WasmBackend} from './module.js';
import {scratchBytes, simdPasses} from './simd_passes.js';

const host: Host = (backend, inputs, shapes, view, compute) => {
  const heap = backend as WasmBackend;
  const {wasm} = heap;
  const module = normModule(heap);
  // This brings values of other backends to the heap.
  for (const name in inputs) heap.getMemoryOffset((inputs[name] as TensorInfo).dataId);
  const outputs = shapes.map(shape => heap.makeOutput(shape, 'float32'));
  const bytes = module === null ? 0 : scratchBytes(view);
  const scratch = wasm._malloc(bytes) >>> 0;
  try {
    if (bytes > 0 && scratch === 0) {
      throw new Error(`The wasm backend's heap has no ${bytes} bytes left.`);
    }
    // Not before all is on the heap: arrays over it become empty when it grows.
    const arrays = arraysOf(inputs, tensor => heap.typedArrayFromHeap(tensor));
    const results = outputs.map(tensor => heap.typedArrayFromHeap(tensor));
    const passes =
      module === null
        ? javaScriptPasses(view)
        : simdPasses(module, wasm.HEAPU8.buffer, scratch, view);
    compute(arrays, results, passes);
  } catch (error) {
    for (const {dataId} of outputs) heap.disposeData(dataId);
    throw error;
  } finally {
    wasm._free(scratch);
  }
  return outputs;
};

export const wasmKernels = arrayKernels(host);
