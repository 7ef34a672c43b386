/**
 * Batch normalization over rows that are split into parts, x being [rows/parts, parts·channels]:
 * wide enough to fill the vector units, and few enough for exact sums. What comes out of the
 * parts of a channel is put together here in float64; on the CPU, to read it is a copy and no
 * wait.
 */
import {tensor1d, type Tensor, type TensorInfo} from '@tensorflow/tfjs-core';

import {channelView} from '../../channel_view.js';
import type {NormAttrs} from '../kernel.js';
import {
  add,
  inferenceNorm,
  read,
  replace,
  reshape,
  takeShape,
  trainingNorm,
  trainingNormGrad,
  type Affine,
  type BatchNormView,
  type Statistics,
  type TensorFlowBackend,
} from './ops.js';
import type {Strategy} from './whole_rows.js';

type Floats = Float32Array | Float64Array;

/** For an x with nothing after the channels but sizes of 1; `parts` divides its number of rows. */
export function splitRows(parts: number): Strategy {
  return {
    training(backend, x, affine, attrs) {
      const view = splitView(x, parts, attrs);
      const xView = reshape(backend, x, view.shape);
      const any = tensor1d(new Float32Array(view.shape[3]));
      const [y, , , ...ofParts] = trainingNorm(
        backend,
        xView,
        {gamma: any, beta: any},
        view,
      );
      y.dispose();
      const [mean, variance] = ofParts.map(tensor => read(backend, tensor));
      const moments = momentsOfAll(mean, variance, parts);
      const statistics = {
        mean: tensor1d(Float32Array.from(moments.mean)),
        variance: tensor1d(Float32Array.from(moments.variance)),
      };
      return {
        y: this.inference(backend, x, {...affine, ...statistics}, attrs),
        ...statistics,
        reserve: [],
      };
    },

    /**
     * The gradient op takes each part for a batch of its own. With n values in all, m in a
     * part, and dbeta and dgamma of all or of the part, dx lacks
     *
     *     gamma·r·(dbetaPart/m − dbeta/n + x̂·(dgammaPart/m − dgamma/n))
     *
     * which is x normalized, with another gamma and beta.
     */
    gradient(backend, {dy, x, gamma, mean, variance}, _reserve, attrs) {
      const {epsilon} = attrs;
      const view = splitView(x, parts, attrs);
      const [dyView, xView] = [dy, x].map(tensor => reshape(backend, tensor, view.shape));
      const statistics = repeatEach(backend, {mean, variance}, parts);
      const gammas = repeat(read(backend, gamma), parts);
      const [dxOfParts, ...ofParts] = trainingNormGrad(
        backend,
        dyView,
        xView,
        tensor1d(gammas),
        [statistics.mean, statistics.variance, statistics.mean],
        view,
      );
      const [dgammaOfParts, dbetaOfParts] = ofParts.map(tensor => read(backend, tensor));
      const dgamma = sumOfParts(dgammaOfParts, parts);
      const dbeta = sumOfParts(dbetaOfParts, parts);

      const [m] = view.shape;
      const scale = repeat(
        read(backend, variance).map((v, c) => gammas[c] / Math.sqrt(v + epsilon) / m),
        parts,
      );
      const lacking = (ofParts: Floats, ofAll: Floats) =>
        tensor1d(scale.map((s, i) => s * (ofParts[i] - ofAll[i % ofAll.length] / parts)));
      const correction = {
        gamma: lacking(dgammaOfParts, dgamma),
        beta: lacking(dbetaOfParts, dbeta),
      };
      const rest = inferenceNorm(backend, xView, {...correction, ...statistics}, view);
      const dx = replace(dxOfParts, add(backend, dxOfParts, rest));
      return [
        takeShape(backend, dx, x.shape),
        tensor1d(Float32Array.from(dgamma)),
        tensor1d(Float32Array.from(dbeta)),
      ];
    },

    inference(backend, x, perChannel, attrs) {
      const view = splitView(x, parts, attrs);
      const y = inferenceNorm(
        backend,
        reshape(backend, x, view.shape),
        repeatEach(backend, perChannel, parts),
        view,
      );
      return takeShape(backend, y, x.shape);
    },
  };
}

function splitView(
  {shape}: TensorInfo,
  parts: number,
  {axis, epsilon}: NormAttrs,
): BatchNormView {
  const [rows, channels] = channelView(shape, axis);
  const width = parts * channels;
  return {shape: [rows / parts, 1, 1, width], dataFormat: 'NHWC', epsilon};
}

function repeat(values: Float32Array, times: number): Float32Array {
  const all = new Float32Array(times * values.length);
  for (let i = 0; i < times; ++i) all.set(values, i * values.length);
  return all;
}

function repeatEach<Name extends keyof (Affine & Statistics)>(
  backend: TensorFlowBackend,
  perChannel: Record<Name, TensorInfo>,
  times: number,
): Record<Name, Tensor> {
  return Object.fromEntries(
    Object.entries<TensorInfo>(perChannel).map(([name, info]) => [
      name,
      tensor1d(repeat(read(backend, info), times)),
    ]),
  ) as Record<Name, Tensor>;
}

/** [parts·channels] → [channels]. */
function sumOfParts(values: Floats, parts: number): Float64Array {
  const channels = values.length / parts;
  const sums = new Float64Array(channels);
  for (let i = 0; i < values.length; ++i) sums[i % channels] += values[i];
  return sums;
}

/** The moments of all the values, from those of parts that are equally many. */
function momentsOfAll(means: Floats, variances: Floats, parts: number) {
  const mean = sumOfParts(means, parts).map(sum => sum / parts);
  const squares = Float64Array.from(
    variances,
    (variance, i) => variance + (means[i] - mean[i % mean.length]) ** 2,
  );
  return {mean, variance: sumOfParts(squares, parts).map(sum => sum / parts)};
}
