import type {DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';

/** A WebAssembly.Memory; TypeScript knows that type in browsers only. */
export interface Memory {
  buffer: ArrayBufferLike;
}

/** What of `BackendWasm` is used; naming it so spares the dependency on its package. */
export interface WasmBackend {
  wasm: {
    /** The exports of the backend's module. */
    asm: {memory?: Memory};
    /** The memory of the build with threads, which has to be made before the module. */
    wasmMemory?: Memory;
    HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  /** Brings the tensor's values onto the heap if another backend had them. */
  getMemoryOffset(dataId: DataId): number;
  makeOutput(shape: number[], dtype: DataType): TensorInfo;
  typedArrayFromHeap(tensor: TensorInfo): Float32Array;
  disposeData(dataId: DataId): boolean;
}
