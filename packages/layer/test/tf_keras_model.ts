/** A whole model written by tf.keras of TensorFlow 2: testing/golden/scripts/tf_keras_model.py. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

interface Values {
  shape: number[];
  values: number[];
}

interface GoldenModel {
  modelTopology: object;
  weights: Record<string, Values>;
  input: Values;
  predictions: Values;
}

const file = join(__dirname, '../../../testing/golden/models/tf_keras.json');

const tensorOf = ({values, shape}: Values) => tf.tensor(values, shape);

/** The model as tf.keras left it, an input, and what it predicts there. */
export async function tfKerasModel(): Promise<{
  model: tfl.LayersModel;
  input: tf.Tensor;
  predictions: tf.Tensor;
}> {
  const golden = JSON.parse(readFileSync(file, 'utf8')) as GoldenModel;
  const {modelTopology, weights} = golden;
  const model = await tfl.loadLayersModel(tf.io.fromMemory({modelTopology}));
  const tensors = Object.entries(weights).map(([name, values]) => [
    name,
    tensorOf(values),
  ]);
  model.loadWeights(Object.fromEntries(tensors));
  return {
    model,
    input: tensorOf(golden.input),
    predictions: tensorOf(golden.predictions),
  };
}
