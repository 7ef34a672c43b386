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

const host: Host = (backend, inputs, shapes, view, compute) => {
  const cpu = backend as CpuBackend;
  const arrays = arraysOf(
    inputs,
    ({dataId}) => cpu.data.get(dataId).values as Float32Array,
  );
  const outputs = shapes.map(shape => new Float32Array(tf.util.sizeFromShape(shape)));
  compute(arrays, outputs, javaScriptPasses(view));
  return shapes.map((shape, i) => cpu.makeTensorInfo(shape, 'float32', outputs[i]));
};

export const cpuKernels = arrayKernels(host);
