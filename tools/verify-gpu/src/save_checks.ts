/** Saves the model on the GPU and loads it on the CPU: the wasm backend, in this process. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {largestDifference, modelFiles} from '@resbatchnorm/resnet';
import {openBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {atMost, type Check, equalTo} from './report.js';

const group = 'saved here, loaded on the CPU';
// Absolute, of probabilities, after 20 layers in float32.
const predictionLimit = 1e-4;

/**
 * Compares weights and predictions on both sides. `images` are values, since a tensor belongs
 * to a backend. The current backend is the same again afterwards.
 */
export async function checkSaving(
  model: tfl.LayersModel,
  images: Float32Array,
  shape: [number, number, number, number],
): Promise<Check[]> {
  const backend = tf.getBackend();
  const directory = await mkdtemp(join(tmpdir(), 'verify-gpu-'));
  try {
    await model.save(modelFiles(directory));
    const saved = await weightsOf(model);
    const predictions = await predict(model, images, shape);

    await openBackend('wasm');
    const loaded = await tfl.loadLayersModel(modelFiles(directory));
    const loadedWeights = await weightsOf(loaded);
    const loadedPredictions = await predict(loaded, images, shape);
    loaded.dispose();
    const differing = [...saved].filter(
      ([name, values]) => !isBitExact(values, loadedWeights.get(name)),
    );
    return [
      equalTo(0, {
        group,
        name: `weights that differ in any bit, of ${saved.size}`,
        measured: differing.length + Math.abs(saved.size - loadedWeights.size),
      }),
      atMost(predictionLimit, {
        group,
        name: `largest difference of the predictions for ${shape[0]} images`,
        measured: largestDifference(predictions, loadedPredictions),
      }),
    ];
  } finally {
    await tf.setBackend(backend);
    await rm(directory, {recursive: true, force: true});
  }
}

async function weightsOf(model: tfl.LayersModel): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for (const weight of model.weights) {
    weights.set(weight.originalName, (await weight.read().data()) as Float32Array);
  }
  return weights;
}

async function predict(
  model: tfl.LayersModel,
  images: Float32Array,
  shape: [number, number, number, number],
): Promise<Float32Array> {
  const x = tf.tensor4d(images, shape);
  const y = model.predictOnBatch(x) as tf.Tensor;
  const values = await y.data();
  tf.dispose([x, y]);
  return values as Float32Array;
}

/** Also tells 0 from −0 and one NaN from another. */
export function isBitExact(a: Float32Array, b: Float32Array | undefined): boolean {
  if (!b || a.length !== b.length) return false;
  const bytes = (values: Float32Array) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return bytes(a).equals(bytes(b));
}
