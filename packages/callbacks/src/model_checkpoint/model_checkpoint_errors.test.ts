/** What can be wrong with the arguments, the model or the optimizer. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {fit, useFolder} from '../../test/checkpoint_folder';
import {
  Block,
  compile,
  denseModel,
  encoder,
  makeBatch,
  resBatchNorm,
} from '../../test/models';
import {ModelCheckpoint, resume} from '../node';
import type {ModelCheckpointArgs} from '../node';

const folder = useFolder();

function checkpointWith(args: Partial<ModelCheckpointArgs> = {}): ModelCheckpoint {
  return new ModelCheckpoint({path: folder(), ...args});
}

/** Dense layers around what is given: [batch, 3] → [batch, 1]. */
function modelOf(inner: (x: tfl.SymbolicTensor) => tfl.SymbolicTensor): tfl.LayersModel {
  const inputs = tfl.input({shape: [3]});
  const x = tfl.layers.dense({units: 4}).apply(inputs) as tfl.SymbolicTensor;
  const outputs = tfl.layers.dense({units: 1}).apply(inner(x)) as tfl.SymbolicTensor;
  return compile(tfl.model({inputs, outputs, name: 'm'}));
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
      `The weights of the model '${model.name}_model' must have names of their own for a ` +
        'checkpoint to be loaded: give the layers different names. Received: several ' +
        'weights of the name same/kernel, same/bias',
    );
    expect(model.optimizer.iterations).toBe(0);
  });

  describe('of a layer that is in two of the layers, before the first step', () => {
    const ends: [string, (y: tfl.SymbolicTensor) => tfl.SymbolicTensor][] = [
      ['alone', y => y],
      // The hooks of the layer list each weight once then.
      ['beside a ResBatchNorm', y => resBatchNorm().apply(y) as tfl.SymbolicTensor],
    ];

    const advice = (names: string, one: string, other: string) =>
      "Each weight of the model 'm' must belong to one of its layers for a checkpoint to " +
      'be loaded, as a layer that two of them have in common would be loaded as two. Apply ' +
      'that layer in one model alone: there it may be applied more than once. Received: ' +
      `${names} of the layers '${one}' and '${other}'`;

    const dense = () => tfl.layers.dense({units: 4, name: 'shared'});
    const kinds: [string, () => tfl.layers.Layer, string][] = [
      ['dense', dense, 'shared/kernel, shared/bias'],
      [
        'ResBatchNorm',
        () => resBatchNorm({name: 'shared'}),
        'shared/gamma, shared/beta, shared/moving_mean, shared/moving_variance',
      ],
    ];

    describe.each(kinds)('%s', (_kind, makeShared, names) => {
      test.each(ends)('in two models, %s', async (_name, end) => {
        const shared = makeShared();
        const model = modelOf(x => {
          const once = encoder('a', shared).apply(x);
          return end(encoder('b', shared).apply(once) as tfl.SymbolicTensor);
        });
        await expect(fit(model, [checkpointWith()])).rejects.toThrow(
          advice(names, 'a', 'b'),
        );
        expect(model.optimizer.iterations).toBe(0);
      });

      test.each(ends)('in the model and in a model of it, %s', async (_name, end) => {
        const shared = makeShared();
        const model = modelOf(x => {
          const once = encoder('a', shared).apply(x);
          return end(shared.apply(once) as tfl.SymbolicTensor);
        });
        await expect(fit(model, [checkpointWith()])).rejects.toThrow(
          advice(names, 'a', 'shared'),
        );
      });

      test.each(ends)('in models of a model of it, %s', async (_name, end) => {
        const shared = makeShared();
        const inner = encoder('inner', encoder('a', shared), encoder('b', shared));
        const model = modelOf(x => end(inner.apply(x) as tfl.SymbolicTensor));
        await expect(fit(model, [checkpointWith()])).rejects.toThrow(
          advice(names, 'a', 'b'),
        );
      });

      test.each(ends)('applied twice in one, it resumes, %s', async (_name, end) => {
        const shared = makeShared();
        const model = modelOf(x => {
          const twice = shared.apply(shared.apply(x)) as tfl.SymbolicTensor;
          return end(twice);
        });
        await fit(model, [checkpointWith()]);
        const resumed = await resume(folder());
        expect(resumed.step).toBe(3);
        expect(resumed.model.weights.map(({originalName}) => originalName)).toEqual(
          model.weights.map(({originalName}) => originalName),
        );
      });
    });

    test("of a layer of the user's own that lists its weights twice", async () => {
      const block = new Block([dense()]);
      const {trainableWeights} = Object.getOwnPropertyDescriptors(Block.prototype);
      Object.defineProperty(block, 'trainableWeights', {
        get: () => [1, 2].flatMap(() => trainableWeights.get!.call(block)),
      });
      const model = compile(denseModel(block));
      await expect(fit(model, [checkpointWith()])).rejects.toThrow(
        `The layer 'block' of the model '${model.name}_model' must list each of its ` +
          'weights once for a checkpoint to be loaded. Received: block/kernel, block/bias ' +
          'several times',
      );
    });
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
