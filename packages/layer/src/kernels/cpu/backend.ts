import type {BackendValues, DataId, TensorInfo} from '@tensorflow/tfjs-core';

/** What of `MathBackendCPU` is used; naming it so spares the dependency on its package. */
interface CpuBackend {
  data: {get(dataId: DataId): {values: BackendValues}};
  makeTensorInfo(shape: number[], dtype: 'float32', values: Float32Array): TensorInfo;
}

/** The array of a float32 tensor. */
export function arrayOf(backend: unknown, {dataId}: TensorInfo): Float32Array {
  return (backend as CpuBackend).data.get(dataId).values as Float32Array;
}

/** A float32 tensor around the array, or around a copy of a float64 one. */
export function tensorOf(
  backend: unknown,
  values: Float32Array | Float64Array,
  shape: number[],
): TensorInfo {
  const array = values instanceof Float32Array ? values : Float32Array.from(values);
  return (backend as CpuBackend).makeTensorInfo(shape, 'float32', array);
}
