/** How a compute shader is run on the `webgpu` backend, which puts around it what it needs. */
import type {DataId, DataType, KernelBackend, TensorInfo} from '@tensorflow/tfjs-core';

/** What of `WebGPUBackend` is used; naming it so spares the dependency on its package. */
interface WebGpuBackend {
  device: {limits: {maxStorageBufferBindingSize: number}};
  tensorMap: {get(dataId: DataId): {dtype: DataType}};
  incRef(dataId: DataId): void;
  runWebGPUProgram(
    program: BackendProgram,
    inputs: TensorInfo[],
    dtype: DataType,
    uniforms: {type: 'int32' | 'float32'; data: number[]}[],
  ): TensorInfo;
}

/** What of the backend's interface `WebGPUProgram` is used. */
interface BackendProgram {
  variableNames: string[];
  uniforms: string;
  outputShape: number[];
  workgroupSize: [number, number, number];
  dispatch: [number, number, number];
  dispatchLayout: {x: number[]; y: number[]};
  /** 4 makes vec4<f32> the element of all arrays. */
  outputComponent: 1 | 4;
  /** Programs of one key, and of inputs of the same ranks and dtypes, share a pipeline. */
  shaderKey: string;
  getUserCode(): string;
}

/** The threads of a workgroup: two warps, and few to wait for each other at a barrier. */
export const WORKGROUP_SIZE = 64;

/**
 * A compute shader. Its `code` has a function `main()` without arguments, which is run by
 * WORKGROUP_SIZE threads for each of the workgroups, and sees
 * - every input as an array by its name, whatever the tensor's shape,
 * - the output as the array `result`,
 * - the `uniforms`,
 * - `localIndex`, the number of the thread in its workgroup, and `workgroupId`.
 */
export interface Program {
  name: string;
  /** All that `code` depends on. */
  variant: unknown[];
  workgroups: [x: number, y: number];
  /** Whether all arrays are of f32, or of vec4<f32>. */
  components: 1 | 4;
  /** Whole numbers, i32 in the shader. */
  counts: Record<string, number>;
  /** Numbers that are f32 in the shader. */
  numbers?: Record<string, number>;
  code(): string;
}

/** Runs a program; its output is a new tensor of the shape, float32. */
export function run(
  backend: KernelBackend,
  program: Program,
  inputs: Record<string, TensorInfo>,
  shape: number[],
): TensorInfo {
  const {name, variant, workgroups, components, counts, numbers = {}} = program;
  const variableNames = Object.keys(inputs);
  const declare = (type: string) => (uniform: string) => `${uniform} : ${type}, `;
  const values = (type: 'int32' | 'float32', uniforms: Record<string, number>) =>
    Object.values(uniforms).map(value => ({type, data: [value]}));
  const output = (backend as unknown as WebGpuBackend).runWebGPUProgram(
    {
      variableNames,
      uniforms: [
        ...Object.keys(counts).map(declare('i32')),
        ...Object.keys(numbers).map(declare('f32')),
      ].join(''),
      outputShape: [sizeOf(shape)],
      workgroupSize: [WORKGROUP_SIZE, 1, 1],
      dispatch: [...workgroups, 1],
      dispatchLayout: {x: [0], y: [1]},
      outputComponent: components,
      shaderKey: ['resBatchNorm', name, components, ...variant].join('_'),
      getUserCode: () => program.code(),
    },
    Object.values(inputs).map(flat),
    'float32',
    [...values('int32', counts), ...values('float32', numbers)],
  );
  return {...output, shape};
}

/** The backend writes code for the indices of each rank, and has none for a rank above 6. */
function flat({dataId, shape, dtype}: TensorInfo): TensorInfo {
  return {dataId, shape: [sizeOf(shape)], dtype};
}

function sizeOf(shape: number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * Whether a shader of this device can be given the tensors as arrays of f32. A cast from int32
 * to float32 leaves the integers where they are; the backend's own shaders convert each.
 */
export function canBind(backend: KernelBackend, tensors: TensorInfo[]): boolean {
  const {device, tensorMap} = backend as unknown as WebGpuBackend;
  return tensors.every(
    ({dataId, shape}) =>
      tensorMap.get(dataId).dtype === 'float32' &&
      sizeOf(shape) * 4 <= device.limits.maxStorageBufferBindingSize,
  );
}

/** The same data as one more tensor. */
export function share(backend: KernelBackend, tensor: TensorInfo): TensorInfo {
  (backend as unknown as WebGpuBackend).incRef(tensor.dataId);
  return {...tensor};
}
