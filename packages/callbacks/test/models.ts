/** Small models and data for the tests of this package. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {ResBatchNorm} from '@resbatchnorm/layer';

export type Layer = tfl.layers.Layer;
type MakeNorm = (args?: {name?: string; trainable?: boolean}) => Layer;

export const resBatchNorm: MakeNorm = args => new ResBatchNorm(args);
export const builtIn: MakeNorm = args => tfl.layers.batchNormalization(args);

/** For `describe.each`: each kind of batch-norm layer, by its class name. */
export const kinds: [string, MakeNorm][] = [
  ['ResBatchNorm', resBatchNorm],
  ['BatchNormalization', builtIn],
];

/** Dense layers around the given ones: [batch, 3] → [batch, 1]. */
export function denseModel(...inner: Layer[]): tfl.Sequential {
  const model = tfl.sequential();
  // With some random kernels the outputs hardly differ, or lie on the side of the labels.
  const kernel = (seed: number) => ({
    kernelInitializer: tfl.initializers.glorotNormal({seed}),
  });
  model.add(tfl.layers.dense({units: 4, inputShape: [3], ...kernel(1)}));
  inner.forEach(layer => model.add(layer));
  model.add(tfl.layers.dense({units: 1, ...kernel(4)}));
  return model;
}

/** A model of the given layers to put into another: [batch, 4] → [batch, 4]. */
export function encoder(name: string, ...inner: Layer[]): tfl.LayersModel {
  const input = tfl.input({shape: [4]});
  const output = inner.reduce((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
  return tfl.model({inputs: input, outputs: output, name});
}

/** A layer of a user's own, with others inside, and a reference to something outside. */
export class Block extends tfl.layers.Layer {
  static className = 'Block';
  outside?: Layer;

  /** @param mode That of the layers inside: of the call, or the user's mistake, inference. */
  constructor(
    private readonly norms: Layer[],
    private readonly mode: 'of the call' | 'inference' = 'of the call',
  ) {
    super({name: 'block'});
  }

  override build(inputShape: tfl.Shape): void {
    for (const norm of this.norms) norm.build(inputShape);
    super.build(inputShape);
  }

  override call(x: tf.Tensor, kwargs: object): tf.Tensor {
    const modeKwargs = this.mode === 'of the call' ? kwargs : {};
    return this.norms.reduce((y, norm) => norm.apply(y, modeKwargs) as tf.Tensor, x);
  }

  override get trainableWeights(): tfl.LayerVariable[] {
    return this.trainable ? this.norms.flatMap(norm => norm.trainableWeights) : [];
  }
}

export function compile<M extends tfl.LayersModel>(model: M): M {
  model.compile({loss: 'meanSquaredError', optimizer: 'sgd'});
  return model;
}

export interface Batch {
  xs: tf.Tensor2D;
  ys: tf.Tensor2D;
}

export function makeBatch(size = 8): Batch {
  return {xs: tf.randomNormal([size, 3], 1, 2, 'float32', 7), ys: tf.ones([size, 1])};
}

/** A dataset of `size` batches, as `fitDataset` takes them. */
export function makeDataset(size: number, batchOf: () => Batch = makeBatch) {
  const iterator = async () => {
    let left = size;
    return {
      next: async () =>
        left-- > 0 ? {value: batchOf(), done: false} : {value: null, done: true},
    };
  };
  return {size, iterator} as unknown as Parameters<tfl.LayersModel['fitDataset']>[0];
}

/** The loss of the model on the batch, in training mode unless told otherwise. */
export function lossOf(model: tfl.LayersModel, batch: Batch, training = true): tf.Scalar {
  const output = model.apply(batch.xs, {training}) as tf.Tensor2D;
  return tf.losses.meanSquaredError(batch.ys, output);
}

/** The mean of the values of a weight of the layer. */
export async function meanOf(layer: Layer, weightName: string): Promise<number> {
  const weight = layer.weights.find(({originalName}) =>
    originalName.endsWith(weightName),
  )!;
  const values = Array.from(await weight.read().data());
  return values.reduce((a, b) => a + b, 0) / values.length;
}

export function fillWeight(layer: Layer, weightName: string, value: number): void {
  const weight = layer.weights.find(({originalName}) =>
    originalName.endsWith(weightName),
  )!;
  tf.tidy(() => void weight.write(tf.fill(weight.shape as number[], value)));
}
