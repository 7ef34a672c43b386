import type {TensorInfo} from '@tensorflow/tfjs-core';

import type {Kernels} from '../kernel.js';
import {read, type TensorFlowBackend} from './backend.js';

/** Which statistic of the batch a moving one follows. */
const followed: Record<string, 'mean' | 'variance'> = {
  moving_mean: 'mean',
  moving_variance: 'variance',
};

/**
 * On the CPU, in plain JavaScript, which takes less time than two ops would. On a GPU, to read
 * the statistics is to wait for all that it was asked for before, so the composed kernel runs.
 */
export const movingStatistics: Kernels['movingStatistics'] = (
  inputs,
  {rule, momentum, skipNonFinite},
  kernelBackend,
) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  if (rule !== 'exponential' || backend.isUsingGpuDevice) return null;
  const {skipped} = inputs;
  const names = Object.keys(inputs).filter(name => name in followed);
  const batch = {
    mean: read(backend, inputs.mean),
    variance: read(backend, inputs.variance),
  };

  const isSkipped =
    skipNonFinite && !(areFinite(batch.mean) && areFinite(batch.variance));
  // New tensors even if the values stay: that is how a write is told from none.
  const next = names.map((name): TensorInfo => {
    const {shape} = inputs[name];
    const values = batch[followed[name]];
    const moving = read(backend, inputs[name]).map((value, c) =>
      isSkipped ? value : value * momentum + values[c] * (1 - momentum),
    );
    return {dataId: backend.write(moving, shape, 'float32'), shape, dtype: 'float32'};
  });
  return [...next, isSkipped ? oneMore(backend, skipped) : alias(backend, skipped)];
};

function areFinite(values: Float32Array): boolean {
  return values.every(value => Number.isFinite(value));
}

function oneMore(backend: TensorFlowBackend, {dataId, shape}: TensorInfo): TensorInfo {
  const [count] = backend.readSync(dataId) as Int32Array;
  const next = backend.write(Int32Array.of(count + 1), shape, 'int32');
  return {dataId: next, shape, dtype: 'int32'};
}

/** Another tensor over the same values, as a clone is. */
function alias(
  backend: TensorFlowBackend,
  {dataId, shape, dtype}: TensorInfo,
): TensorInfo {
  backend.incRef(dataId);
  return {dataId, shape, dtype};
}
