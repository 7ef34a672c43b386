/**
 * The kernels by TensorFlow's own ops, FusedBatchNormV3 and its gradient: a strategy for the
 * shape (strategy.ts), batches far from zero, the shortcut and the activation around it.
 */
import {tidy, type Tensor, type TensorInfo} from '@tensorflow/tfjs-core';

import {followed, type Kernels} from '../kernel.js';
import {movingStatisticsFunction} from './custom_ops.js';
import {
  activate,
  activationGrad,
  add,
  lessPerChannel,
  read,
  type Statistics,
  type TensorFlowBackend,
} from './ops.js';
import {strategyFor} from './strategy.js';

const training: Kernels['training'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const {x, gamma, beta, shortcut} = inputs;
  const {axis, epsilon, activation} = attrs;
  const strategy = strategyFor(backend, x.shape, axis);
  if (strategy === null) return null;
  return tidy(() => {
    const affine = {gamma, beta};
    let {y, mean, variance, reserve} = strategy.training(backend, x, affine, attrs);
    if (!backend.isUsingGpuDevice && isFarFromZero(backend, {mean, variance}, epsilon)) {
      y.dispose();
      const rest = lessPerChannel(backend, x, mean, axis);
      const again = strategy.training(backend, rest, affine, attrs);
      rest.dispose();
      ({y, variance} = again);
      reserve = [mean, again.mean];
      mean = add(backend, mean, again.mean);
    }
    return [activate(backend, y, shortcut, activation), mean, variance, ...reserve];
  });
};

const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const {dy, x, gamma, mean, variance, y, reserve0, reserve1, reserve2} = inputs;
  const {axis, epsilon, activation, hasShortcut} = attrs;
  const strategy = strategyFor(backend, x.shape, axis);
  if (strategy === null) return null;
  // Without a reserve, the composed kernel may have run before.
  const isComposed =
    reserve0 === undefined &&
    (backend.isUsingGpuDevice || isFarFromZero(backend, {mean, variance}, epsilon));
  if (isComposed) return null;

  return tidy(() => {
    const dz = y === undefined ? dy : activationGrad(backend, dy, y, activation);
    const norm = {dy: dz, x, gamma, mean, variance};
    let reserve: TensorInfo[] = [];
    if (backend.isUsingGpuDevice) {
      reserve = [reserve0!, reserve1!, reserve2!];
    } else if (reserve0 !== undefined) {
      norm.x = lessPerChannel(backend, x, reserve0, axis);
      norm.mean = reserve1!;
    }
    const gradients = strategy.gradient(backend, norm, reserve, attrs);
    // The engine hands over tensors, though the type of the inputs promises less.
    return hasShortcut ? [...gradients, dz as Tensor] : gradients;
  });
};

const inference: Kernels['inference'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  const {x, shortcut, ...perChannel} = inputs;
  const strategy = strategyFor(backend, x.shape, attrs.axis);
  if (strategy === null) return null;
  return tidy(() => {
    const norm = strategy.inference(backend, x, perChannel, attrs);
    return [activate(backend, norm, shortcut, attrs.activation)];
  });
};

/** A mean of this many standard deviations makes an error of 1e-6 of one. */
const MAX_RATIO = 8;

/**
 * Whether the mean is large against the standard deviation. TensorFlow's ops round the mean to
 * float32, and the rounding error is in everything they return. On the CPU it costs next to
 * nothing to look at the statistics, so there such a batch is normalized again with its mean
 * subtracted. The reserve is then that shift and the mean of what is left. What a GPU does is in
 * shifted_rows.ts.
 */
function isFarFromZero(
  backend: TensorFlowBackend,
  {mean, variance}: Statistics,
  epsilon: number,
): boolean {
  const means = read(backend, mean);
  const variances = read(backend, variance);
  for (let c = 0; c < means.length; ++c) {
    if (means[c] ** 2 > MAX_RATIO ** 2 * (variances[c] + epsilon)) return true;
  }
  return false;
}

/**
 * On the CPU, in plain JavaScript, which takes less time than two ops would. On a GPU, reading
 * the statistics would wait for all its work to be done: there the function runs, or else the
 * composed kernel.
 */
const movingStatistics: Kernels['movingStatistics'] = (inputs, attrs, kernelBackend) => {
  const backend = kernelBackend as unknown as TensorFlowBackend;
  if (backend.isUsingGpuDevice) {
    return movingStatisticsFunction(inputs, attrs, kernelBackend);
  }
  const {rule, momentum, skipNonFinite} = attrs;
  if (rule !== 'exponential') return null;
  const {skipped} = inputs;
  const names = Object.keys(inputs).filter(name => name in followed);
  const batch = {
    mean: read(backend, inputs.mean),
    variance: read(backend, inputs.variance),
  };

  if (skipNonFinite && !(areFinite(batch.mean) && areFinite(batch.variance))) {
    const same = names.map(name => alias(backend, inputs[name]));
    return [...same, oneMore(backend, skipped)];
  }
  const next = names.map((name): TensorInfo => {
    const {shape} = inputs[name];
    const values = batch[followed[name]];
    const moving = read(backend, inputs[name]).map(
      (value, c) => value * momentum + values[c] * (1 - momentum),
    );
    return {dataId: backend.write(moving, shape, 'float32'), shape, dtype: 'float32'};
  });
  return [...next, alias(backend, skipped)];
};

function areFinite(values: Float32Array): boolean {
  return values.every(value => Number.isFinite(value));
}

function oneMore(backend: TensorFlowBackend, skipped: TensorInfo): TensorInfo {
  const {shape} = skipped;
  const next = read(backend, skipped).map(count => count + 1);
  return {dataId: backend.write(next, shape, 'float32'), shape, dtype: 'float32'};
}

/** Another tensor over the same values, as a clone is. */
function alias(
  backend: TensorFlowBackend,
  {dataId, shape, dtype}: TensorInfo,
): TensorInfo {
  backend.incRef(dataId);
  return {dataId, shape, dtype};
}

export const fusedBatchNorm: Kernels = {
  training,
  trainingGrad,
  inference,
  movingStatistics,
};
