import type {BackendValues, DataId, Tensor, TensorInfo} from '@tensorflow/tfjs-core';

type AttrType =
  | 'TF_ATTR_BOOL'
  | 'TF_ATTR_FLOAT'
  | 'TF_ATTR_STRING'
  | 'TF_ATTR_TYPE'
  | 'TF_FLOAT'
  | 'TF_INT32';

/** An attribute of an op of TensorFlow. */
export interface OpAttr {
  name: string;
  type: number;
  value: number | boolean | string;
}

/**
 * What of tfjs-node's backend is used; naming it so spares the dependency on its packages. The
 * tensors that it returns belong to the tidy around the call.
 */
export interface TensorFlowBackend {
  isUsingGpuDevice: boolean;
  /** TensorFlow's numbers for types. */
  binding: Record<AttrType, number>;
  executeSingleOutput(op: string, attrs: OpAttr[], inputs: TensorInfo[]): Tensor;
  executeMultipleOutputs(
    op: string,
    attrs: OpAttr[],
    inputs: TensorInfo[],
    numOutputs: number,
  ): Tensor[];
  readSync(dataId: DataId): BackendValues;
  write(values: BackendValues, shape: number[], dtype: TensorInfo['dtype']): DataId;
  disposeData(dataId: DataId): boolean;
  incRef(dataId: DataId): void;
}

/** The values of a float32 tensor. On a GPU it waits for all that was asked of it before. */
export function read(backend: TensorFlowBackend, {dataId}: TensorInfo): Float32Array {
  return backend.readSync(dataId) as Float32Array;
}
