import type {BackendValues, DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';

/** What of `MathBackendCPU` is used; naming it so spares the dependency on its package. */
export interface CpuBackend {
  data: {get(dataId: DataId): {values: BackendValues}};
  makeTensorInfo(shape: number[], dtype: DataType, values: BackendValues): TensorInfo;
}
