/**
 * Tensors on the wasm heap that live only while one kernel runs.
 *
 * A kernel that is composed of other kernels gets intermediate results that the engine does
 * not know of. It asks a `Temporaries` for them and disposes it in a `finally`, so that
 * nothing stays on the heap, be it after a result or after an error.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendWasm} from '@tensorflow/tfjs-backend-wasm';

export class Temporaries {
  private readonly owned = new Set<tf.TensorInfo>();
  private readonly views = new Set<tf.TensorInfo>();

  constructor(private readonly backend: BackendWasm) {}

  /** A new float32 tensor; it holds what was left in the memory. */
  allocate(shape: number[]): tf.TensorInfo {
    const tensor = this.backend.makeOutput(shape, 'float32');
    this.owned.add(tensor);
    return tensor;
  }

  /**
   * A tensor over part of the memory of `base`: its values from index `offset` on. Views may
   * overlap. A view must not be used after its base was disposed.
   */
  view(base: tf.TensorInfo, offset: number, shape: number[]): tf.TensorInfo {
    const address =
      this.backend.getMemoryOffset(base.dataId) +
      offset * tf.util.bytesPerElement(base.dtype);
    const tensor = this.backend.makeOutput(shape, base.dtype, address);
    this.views.add(tensor);
    return tensor;
  }

  /** The rank that the backend knows: that of the tensor which the values were made for. */
  storedRank({dataId}: tf.TensorInfo): number {
    return this.backend.dataIdMap.get(dataId).shape.length;
  }

  /** The result of another kernel of the wasm backend. */
  run(kernelName: string, inputs: tf.NamedTensorInfoMap, attrs: object): tf.TensorInfo {
    const kernel = tf.getKernel(kernelName, 'wasm');
    if (kernel == null) {
      throw new Error(
        `The wasm backend has no kernel '${kernelName}'; was it unregistered?`,
      );
    }
    const result = kernel.kernelFunc({
      inputs,
      backend: this.backend,
      attrs: attrs as tf.NamedAttrMap,
    }) as tf.TensorInfo;
    this.owned.add(result);
    return result;
  }

  /** Frees one tensor before the others. */
  free(tensor: tf.TensorInfo): void {
    if (this.owned.delete(tensor)) this.backend.disposeData(tensor.dataId);
    if (this.views.delete(tensor)) {
      // The backend's own disposeData would free memory, and that belongs to the base.
      this.backend.wasm.tfjs.disposeData(this.backend.dataIdMap.get(tensor.dataId).id);
      this.backend.dataIdMap.delete(tensor.dataId);
    }
  }

  /** Takes a tensor out of the temporaries: it is the kernel's result. */
  release(tensor: tf.TensorInfo): tf.TensorInfo {
    this.owned.delete(tensor);
    return tensor;
  }

  dispose(): void {
    for (const tensor of [...this.views, ...this.owned]) this.free(tensor);
  }
}

/**
 * The values of a float32 tensor on the heap, to read and to write. Call it anew after each
 * allocation: when the heap grows, arrays over its former buffer become empty.
 */
export function heapValues(backend: BackendWasm, tensor: tf.TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(tensor) as Float32Array;
}
