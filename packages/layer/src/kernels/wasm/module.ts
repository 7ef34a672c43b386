/** Links the module of assembly/norm_loops.ts to the memory of a backend. */
import type {ChannelView} from '../channel_view.js';
import type {Memory, WasmBackend} from './backend.js';
import {binary, memoryFlags} from './binary.js';

export type Loop = 'moments' | 'normalize' | 'gradSums' | 'inputGrad';

/** The arguments of the loops that are arrays of values … */
export const valueArrays = ['x', 'y', 'dy', 'dx', 'dz', 'shortcut'] as const;
export type ValueArray = (typeof valueArrays)[number];

/** … and all of them, which the module exports as variables. */
type Argument = ValueArray | 'params' | 'sums' | 'low' | 'high';

export type NormModule = Record<Argument, {value: number}> &
  Record<Loop, (...view: ChannelView) => void>;

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
