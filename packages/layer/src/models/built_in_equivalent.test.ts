import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {expectSamePredictions, functional, on, setWeights} from '../../test/models.js';
import {resBatchNorm} from '../index.js';
import {replaceBatchNorm} from './replace.js';

const {layers} = tfl;

const names = (model: tfl.LayersModel) => model.weights.map(w => w.originalName);

describe('what the built-in does not have', () => {
  const shapes: [string, number[], number][] = [
    ['an axis that is not the last', [3, 4, 2], 1],
    ['an axis in the middle, counted from the end', [3, 4, 2], -2],
    ['rank 5', [2, 3, 2, 4], -1],
    ['rank 5 and another axis', [4, 2, 3, 2], 1],
    ['rank 6 and another axis', [2, 2, 4, 2, 3], 3],
  ];
  test.each(shapes)('%s', async (_, inputShape, axis) => {
    const model = tfl.sequential({
      layers: [resBatchNorm({inputShape, axis, name: 'bn'}), layers.flatten()],
    });
    setWeights(model);
    const replaced = replaceBatchNorm(model, {to: 'BatchNormalization'});
    await expectSamePredictions(replaced, model);
    expect(names(replaced)).toEqual(names(model));
    expect(replaced.outputShape).toEqual(model.outputShape);
  });

  test('a size that is not known', async () => {
    const model = functional([4, null, 3, 2], x => on(resBatchNorm({axis: 1}), x));
    setWeights(model);
    await expectSamePredictions(
      replaceBatchNorm(model, {to: 'BatchNormalization'}),
      model,
    );
  });

  test('an activation and a shortcut', async () => {
    const model = functional([4], x => {
      const y = on(layers.dense({units: 4}), x);
      const z = on(resBatchNorm({activation: 'relu', name: 'bn'}), y, x);
      return on(resBatchNorm({activation: 'tanh', name: 'last'}), z);
    });
    setWeights(model);
    const replaced = replaceBatchNorm(model, {to: 'BatchNormalization'});
    await expectSamePredictions(replaced, model);
    expect(replaced.layers.slice(2).map(({name}) => name)).toEqual([
      'bn',
      'bn_add',
      'bn_activation',
      'last',
      'last_activation',
    ]);
  });

  test('all at once, time-distributed, under names that are taken', async () => {
    const model = tfl.sequential({
      layers: [
        layers.timeDistributed({
          layer: resBatchNorm({axis: 1, activation: 'relu'}),
          inputShape: [2, 4, 3],
          name: 'td',
        }),
        layers.reLU({name: 'td_activation'}),
      ],
    });
    setWeights(model);
    const replaced = replaceBatchNorm(model, {to: 'BatchNormalization'});
    await expectSamePredictions(replaced, model);
    expect(replaced.layers.map(({name}) => name)).toEqual([
      'td_channels_last',
      'td',
      'td_channels_back',
      'td_activation_1',
      'td_activation',
    ]);
  });

  test.each([{renorm: true}, {zeroDebiasMovingMean: true}, {momentum: null}])(
    'what only training needs is dropped: %p',
    async args => {
      const model = tfl.sequential({layers: [resBatchNorm({...args, inputShape: [4]})]});
      setWeights(model);
      const replaced = replaceBatchNorm(model, {to: 'BatchNormalization'});
      await expectSamePredictions(replaced, model);
      expect(replaced.weights).toHaveLength(4);
    },
  );
});

class Repeat extends tfl.layers.Layer {
  static className = 'Repeat';
  constructor(readonly config: {layer: tfl.layers.Layer}) {
    super({name: 'repeat'});
  }
  get layer() {
    return this.config.layer;
  }
}

/** A layer whose config does not say how it was made. */
class Forgetful extends tfl.layers.Layer {
  static className = 'Forgetful';
  constructor({size}: {size: {of: number}}) {
    super({name: 'forgetful'});
    if (size.of < 1) throw new Error('too small');
  }
}

describe('errors', () => {
  test('all layers that cannot be replaced are listed, and nothing is left behind', () => {
    const model = functional([null, null, 3, 2], x =>
      on(
        new Repeat({layer: resBatchNorm({name: 'wrapped'})}),
        on(
          resBatchNorm({name: 'untracked', trackMovingStatistics: false}),
          on(resBatchNorm({name: 'unknown'}), x),
        ),
      ),
    );
    const before = tf.memory().numTensors;
    expect(() => replaceBatchNorm(model, {to: 'BatchNormalization'})).toThrow(
      `replaceBatchNorm: 3 layers of model '${model.name}' can't be replaced by ` +
        `BatchNormalization:\n  'wrapped': it is in layer 'repeat' of class Repeat, and ` +
        `only models and TimeDistributed can be made anew around it\n  'unknown': its input, ` +
        `[null, null, null, 3, 2], is of rank over 4 and must be reshaped, for which all ` +
        `sizes but one must be known\n  'untracked': it has trackMovingStatistics false: ` +
        `the built-in has no inference mode without them`,
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a mask that would be dropped', async () => {
    const masked = (axis: number) =>
      tfl.sequential({
        layers: [layers.masking({inputShape: [3, 2]}), resBatchNorm({axis, name: 'bn'})],
      });
    expect(() => replaceBatchNorm(masked(1), {to: 'BatchNormalization'})).toThrow(
      "'bn': its input is masked, and Permute and Reshape, which it would need, drop the mask",
    );
    const last = masked(2);
    await expectSamePredictions(replaceBatchNorm(last, {to: 'BatchNormalization'}), last);
  });

  test('what ResBatchNorm refuses', () => {
    const model = tfl.sequential({
      layers: [layers.batchNormalization({inputShape: [4], momentum: 2, name: 'bn'})],
    });
    expect(() => replaceBatchNorm(model, {to: 'ResBatchNorm'})).toThrow(
      "'bn': ResBatchNorm 'bn': momentum must be a number from 0 to 1",
    );
  });

  test('a layer that cannot be copied, and nothing is left behind', () => {
    const model = tfl.sequential({
      layers: [
        resBatchNorm({inputShape: [4]}),
        layers.dense({units: 4}),
        new Forgetful({size: {of: 1}}),
      ],
    });
    const before = tf.memory().numTensors;
    expect(() => replaceBatchNorm(model, {to: 'BatchNormalization'})).toThrow(
      "replaceBatchNorm: layer 'forgetful' of class Forgetful can't be copied: its config " +
        'does not make a layer: Cannot read properties of undefined',
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each([[undefined], [{}], [{to: 'LayerNormalization'}]])('%p', options => {
    const model = tfl.sequential({layers: [resBatchNorm({inputShape: [4]})]});
    expect(() => replaceBatchNorm(model, options as never)).toThrow(
      "replaceBatchNorm: to must be 'ResBatchNorm' or 'BatchNormalization'. Received: ",
    );
  });
});
