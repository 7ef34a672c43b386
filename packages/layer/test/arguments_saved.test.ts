/** Every argument, with a value that is not its default, comes back from a file and does the same. */
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {objectArguments, options} from '../src/arguments';
import {ResBatchNorm, type ResBatchNormArgs} from '../src/index';

/** What is given, with what else it takes; and what a plain layer has in its place. */
const given: Record<string, [args: ResBatchNormArgs, config?: object]> = {
  axis: [{axis: 1}],
  momentum: [{momentum: 0.3}],
  'momentum, null': [{momentum: null}],
  epsilon: [{epsilon: 0.5}],
  center: [{center: false}],
  scale: [{scale: false}],
  nonFiniteUpdates: [{nonFiniteUpdates: 'propagate'}],
  unbiasedMovingVariance: [{unbiasedMovingVariance: true}],
  trackMovingStatistics: [{trackMovingStatistics: false}],
  renorm: [{renorm: true}],
  renormClipping: [{renorm: true, renormClipping: {rmin: 0.9, rmax: 1.1, dmax: 0.1}}],
  'renormClipping, one bound': [{renorm: true, renormClipping: {dmax: 0.2}}],
  renormMomentum: [{renorm: true, renormMomentum: 0.4}],
  virtualBatchSize: [{virtualBatchSize: 2}],
  zeroDebiasMovingMean: [{zeroDebiasMovingMean: true}],
  synchronized: [{synchronized: true}],
  activation: [{activation: 'softplus'}],
  'activation, of two words': [{activation: 'hardSigmoid'}],
  'activation, with an underscore': [{activation: 'gelu_new'}],
  betaInitializer: [
    {betaInitializer: tfl.initializers.constant({value: 0.5})},
    {className: 'Constant', config: {value: 0.5}},
  ],
  gammaInitializer: [
    {gammaInitializer: tfl.initializers.constant({value: 2})},
    {className: 'Constant', config: {value: 2}},
  ],
  movingMeanInitializer: [
    {movingMeanInitializer: tfl.initializers.constant({value: 3})},
    {className: 'Constant', config: {value: 3}},
  ],
  movingVarianceInitializer: [
    {movingVarianceInitializer: tfl.initializers.constant({value: 4})},
    {className: 'Constant', config: {value: 4}},
  ],
  betaRegularizer: [
    {betaRegularizer: tfl.regularizers.l2({l2: 0.5})},
    {className: 'L1L2', config: expect.objectContaining({l2: 0.5})},
  ],
  gammaRegularizer: [
    {gammaRegularizer: tfl.regularizers.l1({l1: 0.5})},
    {className: 'L1L2', config: expect.objectContaining({l1: 0.5})},
  ],
  betaConstraint: [{betaConstraint: 'nonNeg'}, {className: 'NonNeg', config: {}}],
  gammaConstraint: [
    {gammaConstraint: tfl.constraints.maxNorm({maxValue: 0.25})},
    {className: 'MaxNorm', config: expect.objectContaining({maxValue: 0.25})},
  ],
  name: [{name: 'of_its_own'}],
  trainable: [{trainable: false}],
};

/** A batch of four with a NaN where non-finite updates matter. */
function batchFor(name: string): tf.Tensor {
  const values = normalValues(24, {seed: 5, mean: 1, standardDeviation: 2});
  if (name === 'nonFiniteUpdates') values[0] = NaN;
  return tf.tensor(values, [4, 2, 3]);
}

async function reloaded(model: tfl.LayersModel): Promise<tfl.LayersModel> {
  let saved: tf.io.ModelArtifacts;
  await model.save(
    tf.io.withSaveHandler(async artifacts => {
      saved = artifacts;
      return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
    }),
  );
  const modelTopology = JSON.parse(JSON.stringify(saved!.modelTopology));
  return tfl.loadLayersModel(tf.io.fromMemory({...saved!, modelTopology}));
}

/** All weights after two steps, and what is predicted then. */
async function trained(model: tfl.LayersModel, x: tf.Tensor): Promise<number[]> {
  // As loading does, this applies constraints.
  model.setWeights(model.getWeights().map(weight => tf.clone(weight)));
  model.compile({optimizer: tf.train.sgd(0.5), loss: 'meanSquaredError'});
  for (let step = 0; step < 2; ++step) await model.trainOnBatch(x, tf.ones([4, 2, 3]));
  const outcome = [...model.getWeights(), model.predict(x) as tf.Tensor];
  const values = await Promise.all(outcome.map(tensor => tensor.data()));
  return values.flatMap(part => Array.from(part));
}

const modelOf = (args: ResBatchNormArgs) =>
  tfl.sequential({
    layers: [
      // So that there is always something to train.
      tfl.layers.dense({
        units: 3,
        inputShape: [2, 3],
        kernelInitializer: 'identity',
        name: 'dense',
      }),
      new ResBatchNorm({name: 'bn', ...args}),
    ],
  });

test('each argument that the layer goes by is here', () => {
  const names = new Set(Object.keys(given).map(name => name.split(',')[0]));
  // A function can't be saved.
  const all = [...Object.keys(options), ...objectArguments, 'name', 'trainable'];
  expect(names).toEqual(new Set(all.filter(name => name !== 'adjustment')));
});

test.each(Object.entries(given))('%s', async (label, [args, config]) => {
  const [name] = label.split(',');
  const value = args[name as keyof ResBatchNormArgs];
  const model = modelOf(args);
  const loaded = await reloaded(model);
  expect(loaded.layers[1].getConfig()[name]).toEqual(config ?? value);
  const x = batchFor(name);
  const outcome = await trained(model, x);
  // Applied twice, a constraint may change a last digit.
  await expect(await trained(loaded, x)).toBeAllclose(outcome, {rtol: 1e-4, atol: 1e-5});
  // The value does something: a layer without it ends up elsewhere. Not so a name, what
  // tfjs-layers applies only when a weight is written, and what is for several replicas.
  if (['name', 'betaConstraint', 'synchronized'].includes(name)) return;
  const otherwise = await trained(modelOf({...args, [name]: undefined}), x);
  await expect(otherwise).not.toBeAllclose(outcome, {rtol: 1e-3, atol: 1e-4});
});
