/** What can be wrong with the arguments, the model or the optimizer. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {fit, useFolder} from '../../test/checkpoint_folder';
import {compile, denseModel, encoder, makeBatch, resBatchNorm} from '../../test/models';
import {ModelCheckpoint, resume} from '../node';
import type {ModelCheckpointArgs} from '../node';

const folder = useFolder();

function checkpointWith(args: Partial<ModelCheckpointArgs> = {}): ModelCheckpoint {
  return new ModelCheckpoint({path: folder(), ...args});
}

describe('an error says what is wrong', () => {
  test.each<[unknown, string]>([
    [
      undefined,
      "the arguments must be an object with any of 'path', 'monitor', 'mode', ",
    ],
    [{}, "argument 'path' must be a string that is not empty. Received: undefined"],
    [{path: 'p', every: 1}, '\'overwrite\'. Received: "every"'],
    [
      {path: 'p', mode: 'up'},
      "argument 'mode' must be 'auto', 'min' or 'max'. Received: \"up\"",
    ],
    [
      {path: 'p', keep: 0},
      "argument 'keep' must be a whole number, 1 or more. Received: 0",
    ],
    [
      {path: 'p', everySteps: 1.5},
      "argument 'everySteps' must be a whole number, 1 or more. ",
    ],
    [
      {path: 'p', saveBestOnly: 1},
      "argument 'saveBestOnly' must be true or false. Received: 1",
    ],
  ])('in the arguments: %p', (args, message) => {
    expect(() => new ModelCheckpoint(args as ModelCheckpointArgs)).toThrow(
      expect.objectContaining({
        name: 'ValueError',
        message: expect.stringContaining(message),
      }),
    );
  });

  test('of validation that is monitored and not done, before the first step', async () => {
    const model = compile(denseModel());
    await expect(fit(model, [checkpointWith({saveBestOnly: true})])).rejects.toThrow(
      "ModelCheckpoint: argument 'monitor' must name a quantity in the logs of an epoch. " +
        'Received: "val_loss", with loss in the logs: no validation data were given',
    );
    expect(model.optimizer.iterations).toBe(0);
  });

  test('of a quantity that is not there', async () => {
    const training = fit(compile(denseModel()), [checkpointWith({monitor: 'acc'})]);
    await expect(training).rejects.toThrow(
      "ModelCheckpoint: argument 'monitor' must name a quantity in the logs of an epoch. " +
        'Received: "acc", with loss in the logs',
    );
  });

  test('of weights that share a name, before the first step', async () => {
    const dense = () => tfl.layers.dense({units: 4, name: 'same'});
    const model = compile(denseModel(encoder('a', dense()), encoder('b', dense())));
    await expect(fit(model, [checkpointWith()])).rejects.toThrow(
      'must have names of their own for a checkpoint to be loaded. Received several of ' +
        'the name same/kernel, same/bias: give the layers different names',
    );
    expect(model.optimizer.iterations).toBe(0);
  });

  test('of an optimizer that trains more than the model', async () => {
    const model = denseModel();
    const {xs, ys} = makeBatch();
    const scale = tf.variable(tf.scalar(1), true, 'scale');
    const optimizer = tf.train.momentum(0.1, 0.9);
    optimizer.minimize(() => {
      const output = tf.mul(model.apply(xs) as tf.Tensor, scale);
      return tf.losses.meanSquaredError(ys, output) as tf.Scalar;
    });
    await expect(
      checkpointWith().save(model, {epoch: 0, step: 1, optimizer}),
    ).rejects.toThrow('Received: scale/momentum, of no weight of the model');
    scale.dispose();
  });

  test('of the moving statistics that ResBatchNorm checks when it is loaded', async () => {
    const layer = resBatchNorm({name: 'bn'});
    const model = compile(denseModel(layer));
    const variance = layer.weights.find(({name}) => name.includes('variance'))!;
    variance.write(tf.fill(variance.shape as number[], NaN));
    await checkpointWith().save(model, {epoch: 0, step: 0});
    await expect(resume(folder())).rejects.toThrow(
      'bn/moving_variance holds NaN, at index 0',
    );
  });

  test('of a model that is not compiled, and no optimizer', async () => {
    const saving = checkpointWith().save(denseModel(), {epoch: 0, step: 0});
    await expect(saving).rejects.toThrow(
      "ModelCheckpoint.save: argument 'optimizer' must be ",
    );
  });

  test('of the arguments of resume', async () => {
    await expect(resume('')).rejects.toThrow("resume: argument 'path' must be a string");
    await expect(resume(folder(), {which: 'last' as 'best'})).rejects.toThrow(
      "resume: argument 'which' must be 'newest' or 'best'. Received: \"last\"",
    );
    await checkpointWith().save(compile(denseModel()), {epoch: 0, step: 0});
    await expect(resume(folder(), {which: 'best'})).rejects.toThrow(
      `resume: no checkpoint in '${folder()}' is known as the best: the quantity to monitor ` +
        'was not in the logs of any epoch',
    );
  });
});
