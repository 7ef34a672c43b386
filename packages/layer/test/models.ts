/** What the tests of functions over models share. */
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {isBatchNorm} from '../src/batch_norms';

/** Calls a layer on symbolic tensors. */
export function on(
  layer: tfl.layers.Layer,
  ...inputs: tfl.SymbolicTensor[]
): tfl.SymbolicTensor {
  return layer.apply(inputs.length === 1 ? inputs[0] : inputs) as tfl.SymbolicTensor;
}

/** A model of one input and one output. */
export function functional(
  shape: tfl.Shape,
  body: (x: tfl.SymbolicTensor) => tfl.SymbolicTensor,
): tfl.LayersModel {
  const input = tfl.input({shape});
  return tfl.model({inputs: input, outputs: body(input)});
}

/** A layer of the user's own that holds others, which it does not tell tfjs-layers of. */
export class Holder extends tfl.layers.Layer {
  static className = 'Holder';

  constructor(
    readonly held: unknown,
    name = 'holder',
  ) {
    super({name});
  }

  override call(x: tf.Tensor): tf.Tensor {
    return x;
  }
}

/** tfjs-layers exports neither this class nor its type. */
type RNNCell = Exclude<
  Parameters<typeof tfl.layers.rnn>[0]['cell'],
  unknown[] | undefined
>;
const RNNCell = Object.getPrototypeOf(
  tfl.layers.simpleRNNCell({units: 1, name: 'any'}).constructor,
) as abstract new (args: object) => RNNCell;

/** A recurrent cell of the user's own, whose only layer is a norm. */
export class NormCell extends RNNCell {
  static className = 'NormCell';
  override stateSize = 4;

  constructor(readonly norm: tfl.layers.Layer) {
    super({name: 'cell'});
  }

  override build(shape: tfl.Shape): void {
    this.norm.build(shape);
    super.build(shape);
  }

  override call([x]: tf.Tensor[], kwargs: object): tf.Tensor[] {
    const y = this.norm.call(x, kwargs) as tf.Tensor;
    return [y, y];
  }

  override get trainableWeights(): tfl.LayerVariable[] {
    return this.trainable ? this.norm.trainableWeights : [];
  }

  override get nonTrainableWeights(): tfl.LayerVariable[] {
    return this.trainable ? this.norm.nonTrainableWeights : this.norm.weights;
  }

  override getClassName(): string {
    return NormCell.className;
  }
}

/** All layers of a model, those within models and wrappers included. */
export function allLayers(layer: tfl.layers.Layer): tfl.layers.Layer[] {
  const {layers = [], layer: wrapped} = layer as unknown as {
    layers?: tfl.layers.Layer[];
    layer?: tfl.layers.Layer;
  };
  const inner = wrapped === undefined ? layers : [wrapped];
  return inner.length === 0 ? [layer] : inner.flatMap(allLayers);
}

/** Values for all weights, as training might leave them; the same in every run. */
export function setWeights(model: tfl.LayersModel): void {
  let seed = 1;
  for (const layer of new Set(allLayers(model))) {
    for (const weight of layer.weights) {
      const size = weight.shape.reduce((a, b) => a! * b!, 1)!;
      const spread = isBatchNorm(layer) ? 0.5 : 1 / Math.sqrt(size);
      const values = normalValues(size, {seed: ++seed, standardDeviation: spread});
      const isPositive = /variance|stddev|gamma/.test(weight.originalName);
      const value = isPositive ? values.map(v => Math.abs(v) + 0.5) : values;
      tf.tidy(() => {
        const {dtype} = weight.read();
        weight.write(tf.tensor(value, weight.shape as number[], dtype));
      });
    }
  }
}

/** Input values for a model: batches of three. */
export function inputsOf(model: tfl.LayersModel, size = 5): tf.Tensor[] {
  return model.inputs.map(({shape}, i) => {
    const full = shape.map((n, axis) => n ?? (axis === 0 ? 3 : size));
    const values = normalValues(
      full.reduce((a, b) => a * b, 1),
      {seed: 100 + i, mean: 0.5},
    );
    return tf.tensor(values, full);
  });
}

export function predict(model: tfl.LayersModel, inputs = inputsOf(model)): tf.Tensor[] {
  return [model.predict(inputs.length === 1 ? inputs[0] : inputs)].flat();
}

/** Expects two models to predict the same, from inputs that they may be given. */
export async function expectSamePredictions(
  model: tfl.LayersModel,
  expected: tfl.LayersModel,
  tolerance = {rtol: 1e-5, atol: 1e-5},
): Promise<void> {
  const outputs = predict(model);
  const wanted = predict(expected, inputsOf(expected));
  expect(outputs).toHaveLength(wanted.length);
  for (const [i, output] of outputs.entries()) {
    await expect(output).toBeAllclose(wanted[i], tolerance);
  }
}
