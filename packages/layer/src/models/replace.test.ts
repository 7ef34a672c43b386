import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {resBatchNorm} from '../index.js';
import {batchNorms} from '../batch_norms.js';
import {replaceBatchNorm, type ReplaceBatchNormOptions} from './replace.js';
import {expectSamePredictions, functional, on, setWeights} from '../../test/models.js';

const {layers} = tfl;

/** A batch norm of either kind; the arguments are those that both have. */
type MakeNorm = (args: {
  name: string;
  inputShape?: number[];
  scale?: boolean;
}) => tfl.layers.Layer;

const kinds: Record<ReplaceBatchNormOptions['to'], MakeNorm> = {
  ResBatchNorm: args => resBatchNorm({epsilon: 1e-2, momentum: 0.8, ...args}),
  BatchNormalization: args =>
    layers.batchNormalization({epsilon: 1e-2, momentum: 0.8, ...args}),
};

const models: Record<string, (norm: MakeNorm) => tfl.LayersModel> = {
  sequential: norm =>
    tfl.sequential({
      name: 'net',
      layers: [
        norm({name: 'first', inputShape: [4]}),
        layers.dense({units: 3, activation: 'relu', name: 'dense'}),
        norm({name: 'bn', scale: false}),
      ],
    }),
  'sequential with an input layer': norm =>
    tfl.sequential({
      layers: [layers.inputLayer({inputShape: [4], name: 'in'}), norm({name: 'bn'})],
    }),
  'of convolutions': norm =>
    functional([6, 6, 2], x => {
      const conv = on(layers.conv2d({filters: 3, kernelSize: 3, name: 'conv'}), x);
      return on(layers.activation({activation: 'relu'}), on(norm({name: 'bn'}), conv));
    }),
  'with a shared layer': norm => {
    const shared = norm({name: 'bn'});
    const dense = layers.dense({units: 4, name: 'dense'});
    return functional([4], x => {
      const once = on(dense, on(shared, x));
      return on(layers.add({name: 'sum'}), once, on(dense, on(shared, once)));
    });
  },
  'of several inputs and outputs': norm => {
    const [a, b] = [
      tfl.input({shape: [4], name: 'a'}),
      tfl.input({shape: [4], name: 'b'}),
    ];
    const left = on(norm({name: 'left'}), a);
    const sum = on(layers.add({name: 'sum'}), left, on(norm({name: 'right'}), b));
    return tfl.model({inputs: [a, b], outputs: [sum, left], name: 'net'});
  },
  'nested, first in a sequential one': norm =>
    tfl.sequential({
      layers: [
        tfl.sequential({
          name: 'encoder',
          layers: [
            layers.dense({units: 3, inputShape: [4], name: 'dense'}),
            norm({name: 'inner'}),
          ],
        }),
        norm({name: 'outer'}),
      ],
    }),
  'nested and shared': norm => {
    const encoder = functional([4], x => on(norm({name: 'inner'}), x));
    return functional([4], x => on(encoder, on(norm({name: 'outer'}), on(encoder, x))));
  },
  'time-distributed': norm =>
    functional([2, 3, 4], x =>
      on(
        layers.timeDistributed({layer: norm({name: 'inner'}), name: 'td'}),
        on(
          layers.timeDistributed({
            layer: tfl.sequential({
              layers: [norm({name: 'in_model', inputShape: [3, 4]})],
            }),
          }),
          x,
        ),
      ),
    ),
  recurrent: norm =>
    functional([3, 4], x =>
      on(
        norm({name: 'bn'}),
        on(layers.simpleRNN({units: 3, recurrentInitializer: 'glorotNormal'}), x),
      ),
    ),
};

const names = (model: tfl.LayersModel) => model.weights.map(w => w.originalName);

describe.each(['ResBatchNorm', 'BatchNormalization'] as const)('to %s', to => {
  const other = to === 'ResBatchNorm' ? 'BatchNormalization' : 'ResBatchNorm';

  describe.each(Object.entries(models))('a model %s', (_, make) => {
    test('predicts the same, and has the same names and weights', async () => {
      const model = make(kinds[other]);
      setWeights(model);
      const replaced = replaceBatchNorm(model, {to});
      await expectSamePredictions(replaced, model);
      const classes = batchNorms(replaced).map(({layer}) => layer.getClassName());
      expect(new Set(classes)).toEqual(new Set([to]));
      expect(names(replaced)).toEqual(names(model));
      expect(replaced.layers.map(({name}) => name)).toEqual(
        model.layers.map(({name}) => name),
      );
      expect(replaced.name).toBe(model.name);
      expect(replaced.inputNames).toEqual(model.inputNames);
    });

    test('the weights load by name, in both directions', async () => {
      const model = make(kinds[other]);
      const replaced = replaceBatchNorm(model, {to});
      const weightsOf = (from: tfl.LayersModel) =>
        Object.fromEntries(from.weights.map(w => [w.originalName, w.read()]));
      setWeights(replaced);
      model.loadWeights(weightsOf(replaced));
      await expectSamePredictions(model, replaced);
      setWeights(model);
      replaced.loadWeights(weightsOf(model));
      await expectSamePredictions(replaced, model);
    });

    test('has weights of its own, and nothing leaks', async () => {
      const model = make(kinds[other]);
      setWeights(model);
      const reference = make(kinds[other]);
      setWeights(reference);
      const before = tf.memory().numTensors;
      const replaced = replaceBatchNorm(model, {to});
      const made = tf.memory().numTensors - before;
      // Each ResBatchNorm counts its skipped updates, in a tensor that is no weight.
      const counters = to === 'ResBatchNorm' ? batchNorms(replaced).length : 0;
      expect(made).toBe(replaced.weights.length + counters);
      tf.tidy(() => {
        for (const weight of replaced.weights) weight.write(tf.zerosLike(weight.read()));
      });
      replaced.dispose();
      await expectSamePredictions(model, reference);
    });
  });
});

test('the arguments, the frozen layers and models, and other layers come along', () => {
  const inner = tfl.sequential({
    layers: [layers.batchNormalization({inputShape: [4], name: 'inner'})],
  });
  inner.trainable = false;
  const norm = layers.batchNormalization({
    name: 'bn',
    momentum: 0.7,
    epsilon: 1e-4,
    center: false,
    trainable: false,
    gammaRegularizer: tfl.regularizers.l2({l2: 0.5}),
  });
  const dense = layers.dense({units: 2, kernelConstraint: 'nonNeg', trainable: false});
  const model = tfl.sequential({layers: [inner, norm, dense]});
  const there = replaceBatchNorm(model, {to: 'ResBatchNorm'});
  const back = replaceBatchNorm(there, {to: 'BatchNormalization'});
  expect(there.layers[1].getConfig()).toMatchObject(norm.getConfig());
  expect(back.layers[1].getConfig()).toEqual(norm.getConfig());
  expect(back.layers[2].getConfig()).toEqual(dense.getConfig());
  expect([there, back].map(({layers: [nested]}) => nested.trainable)).toEqual([
    false,
    false,
  ]);
  expect(there.trainableWeights).toHaveLength(0);
});

test('an axis of the built-in that it gets wrong is right afterwards', async () => {
  const args = {axis: 1, inputShape: [4, 3]};
  const wrong = tfl.sequential({layers: [layers.batchNormalization(args)]});
  const right = tfl.sequential({layers: [resBatchNorm(args)]});
  setWeights(wrong);
  setWeights(right);
  await expectSamePredictions(replaceBatchNorm(wrong, {to: 'ResBatchNorm'}), right);
});

test('a replaced model is saved and loaded where this package is not', async () => {
  const model = functional([4, 3], x =>
    on(resBatchNorm({axis: 1, activation: 'relu', name: 'bn'}), x),
  );
  setWeights(model);
  const replaced = replaceBatchNorm(model, {to: 'BatchNormalization'});
  const topology = JSON.stringify(replaced.toJSON(null, false));
  expect(topology).not.toContain('ResBatchNorm');
  const loaded = await tfl.loadLayersModel(
    tf.io.fromMemory({modelTopology: JSON.parse(topology)}),
  );
  loaded.setWeights(replaced.getWeights());
  await expectSamePredictions(loaded, model);
});

test('a model without a batch norm to replace is copied', async () => {
  const model = tfl.sequential({layers: [layers.dense({units: 2, inputShape: [4]})]});
  await expectSamePredictions(replaceBatchNorm(model, {to: 'ResBatchNorm'}), model);
});

test('a norm that was thawed in a frozen model is so in the copy', () => {
  const [thawed, frozen] = [resBatchNorm({inputShape: [4]}), resBatchNorm()];
  const builtIn = layers.batchNormalization();
  const model = tfl.sequential({layers: [thawed, frozen, builtIn]});
  model.trainable = false;
  thawed.trainable = true;
  const replaced = replaceBatchNorm(model, {to: 'ResBatchNorm'});
  expect(replaced.trainable).toBe(false);
  expect(replaced.layers.map(layer => layer.trainable)).toEqual([true, false, false]);
});

test.each(['ResBatchNorm', 'BatchNormalization'] as const)(
  'a subclass is replaced by %s, unless it has a call of its own',
  async to => {
    const args = {inputShape: [4], name: 'bn'};
    const plain =
      to === 'ResBatchNorm' ? layers.batchNormalization(args) : resBatchNorm(args);
    const base = plain.constructor as new (args: object) => tfl.layers.Layer;
    class Renamed extends base {
      static className = 'Renamed';
    }
    class Doubled extends base {
      static className = 'Doubled';

      override call(x: tf.Tensor, kwargs: object) {
        return tf.mul(super.call(x, kwargs) as tf.Tensor, 2);
      }
    }
    const renamed = tfl.sequential({layers: [new Renamed(args)]});
    setWeights(renamed);
    const replaced = replaceBatchNorm(renamed, {to});
    expect(replaced.layers[0].getClassName()).toBe(to);
    await expectSamePredictions(replaced, renamed);
    const doubled = tfl.sequential({layers: [new Doubled(args)]});
    expect(() => replaceBatchNorm(doubled, {to})).toThrow(
      "'bn': its class, Doubled, computes something of its own",
    );
  },
);
