/** The kernels of the `cpu` backend: plain JavaScript over the tensors' arrays. */
import * as tf from '@tensorflow/tfjs-core';
import type {BackendValues, DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';

import {arrayKernels, arraysOf, type Host} from './kernels.js';
import {javaScriptPasses} from './passes.js';

/** What of `MathBackendCPU` is used; naming it so spares the dependency on its package. */
interface CpuBackend {
  data: {get(dataId: DataId): {values: BackendValues}};
  makeTensorInfo(shape: number[], dtype: DataType, values: BackendValues): TensorInfo;
}

const host: Host = (backend, inputs, like, view, compute) => {
  const cpu = backend as CpuBackend;
  const arrays = arraysOf(
    inputs,
    ({dataId}) => cpu.data.get(dataId).values as Float32Array,
  );
  const outputs = like.map(({shape, dtype}) =>
    tf.util.getTypedArrayFromDType(dtype as 'float32', tf.util.sizeFromShape(shape)),
  );
  compute(arrays, outputs, javaScriptPasses(view));
  return like.map(({shape, dtype}, i) => cpu.makeTensorInfo(shape, dtype, outputs[i]));
};

export const cpuKernels = arrayKernels(host);
