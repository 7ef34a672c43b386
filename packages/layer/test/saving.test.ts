import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ResBatchNorm, resBatchNorm} from '../src/index.js';

const exact = {rtol: 0, atol: 0};

function sequential(): tfl.LayersModel {
  return tfl.sequential({
    layers: [
      tfl.layers.dense({units: 3, inputShape: [4], activation: 'relu'}),
      resBatchNorm({name: 'bn'}),
      resBatchNorm({scale: false, center: false}),
    ],
  });
}

function functional(): tfl.LayersModel {
  const input = tfl.input({shape: [4]});
  const norm = resBatchNorm({name: 'bn', axis: 1, momentum: 0.5, epsilon: 1e-2});
  const left = norm.apply(input) as tfl.SymbolicTensor;
  const right = resBatchNorm({scale: false}).apply(input) as tfl.SymbolicTensor;
  const sum = tfl.layers.add().apply([left, right]) as tfl.SymbolicTensor;
  return tfl.model({inputs: input, outputs: sum});
}

function nested(): tfl.LayersModel {
  return tfl.sequential({layers: [sequential(), resBatchNorm({name: 'outer_bn'})]});
}

const models = {sequential, functional, nested};

async function train(model: tfl.LayersModel): Promise<void> {
  model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
  const x = tf.tensor(normalValues(64, {mean: 2}), [16, 4]);
  const width = model.outputs[0].shape[1]!;
  await model.fit(x, tf.ones([16, width]), {batchSize: 4, epochs: 2, verbose: 0});
}

/** What model.save writes. */
async function artifactsOf(
  model: tfl.LayersModel,
  config?: tf.io.SaveConfig,
): Promise<tf.io.ModelArtifacts> {
  let saved: tf.io.ModelArtifacts;
  const handler = tf.io.withSaveHandler(async artifacts => {
    saved = artifacts;
    return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
  });
  await model.save(handler, config);
  // As a file would: the topology goes through JSON.
  return {...saved!, modelTopology: JSON.parse(JSON.stringify(saved!.modelTopology))};
}

const load = (artifacts: tf.io.ModelArtifacts, options?: tf.io.LoadOptions) =>
  tfl.loadLayersModel(tf.io.fromMemory(artifacts), options);

describe.each(Object.entries(models))('%s model', (_, make) => {
  test('comes back with the same weights and the same predictions', async () => {
    const model = make();
    await train(model);
    const loaded = await load(await artifactsOf(model));
    expect(loaded.weights.map(({originalName}) => originalName)).toEqual(
      model.weights.map(({originalName}) => originalName),
    );
    for (const [i, weight] of loaded.getWeights().entries()) {
      await expect(weight).toBeAllclose(model.getWeights()[i], exact);
    }
    const x = tf.tensor(normalValues(20, {seed: 9}), [5, 4]);
    const predicted = model.predict(x) as tf.Tensor;
    await expect(loaded.predict(x) as tf.Tensor).toBeAllclose(predicted, exact);
  });

  test('without its moving statistics it would predict otherwise', async () => {
    const model = make();
    await train(model);
    const x = tf.tensor(normalValues(20, {seed: 9}), [5, 4]);
    const predicted = await (model.predict(x) as tf.Tensor).data();
    const artifacts = await artifactsOf(model);
    const fresh = await load({
      ...artifacts,
      weightSpecs: undefined,
      weightData: undefined,
    });
    const trained = new Map(model.weights.map(w => [w.originalName, w.read()]));
    for (const weight of fresh.trainableWeights)
      weight.write(trained.get(weight.originalName)!);
    await expect(fresh.predict(x) as tf.Tensor).not.toBeAllclose(predicted, {rtol: 0.05});
  });
});

test('every argument comes back', async () => {
  const args = {
    name: 'bn',
    axis: 1,
    momentum: 0.25,
    epsilon: 1e-5,
    center: true,
    scale: false,
    trainable: false,
    nonFiniteUpdates: 'propagate' as const,
    betaInitializer: 'ones' as const,
    movingMeanInitializer: tfl.initializers.constant({value: 2}),
    betaRegularizer: tfl.regularizers.l2({l2: 0.25}),
    betaConstraint: tfl.constraints.maxNorm({maxValue: 3}),
    inputShape: [3, 2],
  };
  const model = tfl.sequential({layers: [resBatchNorm(args)]});
  const loaded = await load(await artifactsOf(model));
  expect(loaded.layers[0]).toBeInstanceOf(ResBatchNorm);
  expect(loaded.layers[0].getConfig()).toEqual(model.layers[0].getConfig());
  expect(
    ResBatchNorm.fromConfig(ResBatchNorm, model.layers[0].getConfig()),
  ).toBeInstanceOf(ResBatchNorm);
});

test('weights load by name, into a model that has more', async () => {
  const model = sequential();
  await train(model);
  const larger = tfl.sequential({
    layers: [resBatchNorm({name: 'first', inputShape: [3]}), resBatchNorm({name: 'bn'})],
  });
  const weights = Object.fromEntries(
    model.weights
      .filter(({originalName}) => originalName.startsWith('bn/'))
      .map(variable => [variable.originalName, tf.clone(variable.read())]),
  );
  larger.loadWeights(weights, false);
  for (const [i, weight] of larger.layers[1].getWeights().entries()) {
    await expect(weight).toBeAllclose(model.layers[1].getWeights()[i], exact);
  }
});

test('a name that looks like a statistic is not one', async () => {
  const layer = resBatchNorm({name: 'enc/moving_bn', inputShape: [2]});
  const model = tfl.sequential({layers: [layer]});
  layer.setWeights(
    [
      [-1, 1],
      [-2, 2],
      [0, 0],
      [1, 1],
    ].map(values => tf.tensor1d(values)),
  );
  const loaded = await load(await artifactsOf(model));
  await expect(loaded.getWeights()[0]).toBeAllclose([-1, 1], exact);
});

describe('a file whose moving statistics are no good', () => {
  let artifacts: tf.io.ModelArtifacts;
  beforeEach(async () => {
    const model = nested();
    await train(model);
    artifacts = await artifactsOf(model);
  });

  /** The artifacts with one weight left out or replaced. */
  async function changed(
    name: string,
    change: (tensor: tf.Tensor) => tf.Tensor | null,
  ): Promise<tf.io.ModelArtifacts> {
    const weights = tf.io.decodeWeights(
      artifacts.weightData as ArrayBuffer,
      artifacts.weightSpecs!,
    );
    const kept = Object.entries(weights).flatMap(([key, tensor]) => {
      const replaced = key === name ? change(tensor) : tensor;
      return replaced === null ? [] : [{name: key, tensor: replaced}];
    });
    const specs: tf.io.WeightsManifestEntry[] = kept.map(({name, tensor}) => ({
      name,
      shape: tensor.shape,
      dtype: tensor.dtype as 'float32',
    }));
    const bytes = await Promise.all(
      kept.map(async ({tensor}) => new Uint8Array((await tensor.data()).slice().buffer)),
    );
    const weightData = Uint8Array.from(bytes.flatMap(part => Array.from(part))).buffer;
    return {...artifacts, weightSpecs: specs, weightData};
  }

  const cases: [string, string, (tensor: tf.Tensor) => tf.Tensor | null][] = [
    ['outer_bn/moving_mean', 'is missing', () => null],
    ['bn/moving_variance', 'is missing', () => null],
    ['bn/moving_variance', 'has shape [2], expected [3]', () => tf.ones([2])],
    ['bn/moving_mean', 'holds NaN, at index 1', () => tf.tensor1d([0, NaN, 0])],
    [
      'outer_bn/moving_mean',
      'holds Infinity, at index 2',
      () => tf.tensor1d([0, 0, Infinity]),
    ],
    ['bn/moving_variance', 'holds -1, at index 0', () => tf.tensor1d([-1, 1, 1])],
  ];

  test.each(cases)('%s %s', async (name, fault, change) => {
    await expect(load(await changed(name, change))).rejects.toMatchObject({
      name: 'ValueError',
      message: expect.stringMatching(
        `^The moving statistics can't be loaded[^]*${name} ${fault.replace(/[[\]]/g, '\\$&')}\n`,
      ),
    });
  });

  test('statistics alone missing is an error even if the load is not strict', async () => {
    const without = await changed('bn/moving_mean', () => null);
    await expect(load(without, {strict: false})).rejects.toThrow(
      'bn/moving_mean is missing',
    );
  });

  test('a model saved with trainableOnly says so', async () => {
    const model = sequential();
    const trainable = await artifactsOf(model, {trainableOnly: true});
    await expect(load(trainable)).rejects.toThrow(
      /bn\/moving_mean is missing[^]*trainableOnly/,
    );
  });

  test('nothing is loaded: the weights of the model are as they were', async () => {
    const model = sequential();
    const before = model.getWeights().map(tensor => tensor.clone());
    const weights = Object.fromEntries(
      model.weights.map(({originalName, shape}) => [
        originalName,
        tf.tensor1d(
          new Float32Array(shape[0]!).fill(
            originalName === 'bn/moving_variance' ? NaN : 7,
          ),
        ),
      ]),
    );
    expect(() => model.loadWeights(weights)).toThrow('bn/moving_variance holds NaN');
    for (const [i, weight] of model.getWeights().entries()) {
      await expect(weight).toBeAllclose(before[i], exact);
    }
  });
});
