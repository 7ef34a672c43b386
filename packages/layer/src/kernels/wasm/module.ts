/** The heap of the wasm backend, and the module of assembly/norm_passes.ts that works on it. */
import type {DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';

import type {ChannelView} from '../../channel_view.js';
import {binary, memoryFlags} from './binary.js';

/** A WebAssembly.Memory; TypeScript knows that type in browsers only. */
interface Memory {
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

export type Pass = 'moments' | 'normalize' | 'gradSums' | 'inputGrad';

/** The arguments of the passes that are arrays of values … */
export const valueArrays = ['x', 'y', 'dy', 'dx', 'dz', 'shortcut'] as const;
export type ValueArray = (typeof valueArrays)[number];

/** … and all of them, which the module exports as variables. */
type Argument = ValueArray | 'params' | 'sums' | 'low' | 'high';

export type NormModule = Record<Argument, {value: number}> &
  Record<Pass, (...view: ChannelView) => void>;

// TypeScript knows these in browsers only.
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => {exports: unknown};
};
declare function atob(base64: string): string;

const modules = new WeakMap<Memory, NormModule | null>();

/** The module over the backend's memory; null if the engine has no SIMD. */
export function normModule({wasm}: WasmBackend): NormModule | null {
  const memory = wasm.asm.memory ?? wasm.wasmMemory;
  if (memory === undefined) return null;
  if (!modules.has(memory)) {
    modules.set(memory, instantiate(memory, memory === wasm.wasmMemory));
  }
  return modules.get(memory)!;
}

function instantiate(memory: Memory, isShared: boolean): NormModule | null {
  const bytes = Uint8Array.from(atob(binary), character => character.charCodeAt(0));
  if (isShared) bytes[memoryFlags.index] = memoryFlags.shared;
  if (!WebAssembly.validate(bytes)) return null;
  // Small enough to be compiled on a page's main thread.
  const module = new WebAssembly.Module(bytes);
  const {exports} = new WebAssembly.Instance(module, {env: {memory}});
  return exports as NormModule;
}
