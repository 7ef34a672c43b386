/**
 * Save on one backend, load on another, bit-exact. The bits of the weights are the same
 * constants in the tests of every backend: each must save just them, and give back just them
 * after loading, so any backend can load what any other has saved.
 */
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorm} from '../src/index.js';

const seeds = {gamma: 1, beta: 2, moving_mean: 3, moving_variance: 4};

/** Values whose last bits matter, and the extremes of float32 that are not subnormal. */
function bitsOf(seed: number): Float32Array {
  const values = normalValues(6, {seed, mean: 3, standardDeviation: 0.1});
  values.set([1.1754943508222875e-38, 3.4028234663852886e38], 4);
  return values;
}

const expected = Object.values(seeds).map(bitsOf);
const bytes = new Uint8Array(expected.flatMap(v => Array.from(new Uint8Array(v.buffer))));

const makeModel = () =>
  tfl.sequential({layers: [resBatchNorm({name: 'bn', inputShape: [6]})]});

async function save(model: tfl.LayersModel): Promise<tf.io.ModelArtifacts> {
  let saved: tf.io.ModelArtifacts;
  const handler = tf.io.withSaveHandler(async artifacts => {
    saved = artifacts;
    return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
  });
  await model.save(handler);
  return saved!;
}

test('what is saved is the bits of the weights, in their order', async () => {
  const model = makeModel();
  model.setWeights(expected.map(values => tf.tensor1d(values)));
  const {weightData, weightSpecs} = await save(model);
  expect(weightSpecs!.map(({name}) => name)).toEqual(
    Object.keys(seeds).map(name => `bn/${name}`),
  );
  expect(new Uint8Array(weightData as ArrayBuffer)).toEqual(bytes);
});

test('what is loaded is the bits of the file, also after a prediction', async () => {
  const artifacts = await save(makeModel());
  const weightData = bytes.slice().buffer;
  const loaded = await tfl.loadLayersModel(tf.io.fromMemory({...artifacts, weightData}));
  tf.dispose(loaded.predict(tf.ones([2, 6])));
  for (const [i, weight] of loaded.getWeights().entries()) {
    expect(await weight.data()).toEqual(expected[i]);
  }
});
