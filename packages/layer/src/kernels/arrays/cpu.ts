/** The kernels of the `cpu` backend: plain JavaScript over the tensors' arrays. */
import * as tf from '@tensorflow/tfjs-core';

import {arraysOf, type Host} from './host.js';
import {loopKernels} from './index.js';
import {plainLoops} from './plain_loops.js';
import type {CpuBackend} from './cpu_backend.js';

const host: Host = (backend, inputs, like, view, compute) => {
  const cpu = backend as CpuBackend;
  const arrays = arraysOf(
    inputs,
    ({dataId}) => cpu.data.get(dataId).values as Float32Array,
  );
  const outputs = like.map(({shape, dtype}) =>
    tf.util.getTypedArrayFromDType(dtype as 'float32', tf.util.sizeFromShape(shape)),
  );
  compute(arrays, outputs, plainLoops(view));
  return like.map(({shape, dtype}, i) => cpu.makeTensorInfo(shape, dtype, outputs[i]));
};

export const cpuKernels = loopKernels(host);
