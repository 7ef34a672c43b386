/** What ModelCheckpoint saves when, what it keeps, and which folder it takes. */
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {fit, nameOf, useFolder} from '../../test/checkpoint_folder';
import {compile, denseModel, resBatchNorm} from '../../test/models';
import {UpdateOpsCheck} from '..';
import {hasCheckpoints, ModelCheckpoint, resume} from '../node';
import type {ModelCheckpointArgs} from '../node';

const folder = useFolder();

function checkpointWith(args: Partial<ModelCheckpointArgs> = {}): ModelCheckpoint {
  return new ModelCheckpoint({path: folder(), ...args});
}

/** Gives each epoch one of the values, by default as its `val_loss`. */
class Values extends tfl.Callback {
  constructor(
    private readonly values: number[],
    private readonly key = 'val_loss',
  ) {
    super();
  }

  override async onEpochEnd(epoch: number, logs: tfl.Logs): Promise<void> {
    logs[this.key] = this.values[epoch];
  }
}

describe('what is saved and kept', () => {
  test('each epoch, of which the newest three are kept', async () => {
    const model = compile(denseModel(resBatchNorm()));
    await fit(model, [checkpointWith()], {epochs: 5});
    expect(await readdir(folder())).toEqual([nameOf(3), nameOf(4), nameOf(5)]);
    expect(await resume(folder())).toMatchObject({
      epoch: 5,
      stepInEpoch: 0,
      step: 15,
      best: null,
      checkpoint: join(folder(), nameOf(5)),
    });
  });

  test('every n steps, too', async () => {
    await fit(compile(denseModel()), [checkpointWith({everySteps: 2, keep: 9})], {
      epochs: 2,
    });
    const all = [];
    for (const file of await readdir(folder())) {
      const text = await readFile(join(folder(), file, 'checkpoint.json'), 'utf8');
      const {epoch, stepInEpoch, step} = JSON.parse(text);
      all.push([epoch, stepInEpoch, step]);
    }
    expect(all).toEqual([
      [0, 2, 2],
      [1, 0, 3],
      [1, 1, 4],
      [1, 3, 6],
      [2, 0, 6],
    ]);
  });

  test('by fit, which begins an epoch that is resumed with its first batch', async () => {
    const optimizer = tf.train.sgd(0.1);
    const at = {epoch: 1, step: 5, stepInEpoch: 2};
    await checkpointWith().save(compile(denseModel()), {...at, optimizer});
    const {model, epoch} = await resume(folder());
    const checkpoint = checkpointWith({everySteps: 6});
    class Stop extends tfl.Callback {
      override async onBatchEnd(): Promise<void> {
        throw new Error('stopped');
      }
    }
    const training = fit(model, [checkpoint, new Stop()], {
      epochs: 2,
      initialEpoch: epoch,
    });
    await expect(training).rejects.toThrow('stopped');
    expect(await resume(folder())).toMatchObject({epoch: 1, step: 6, stepInEpoch: 1});
  });

  test('the best besides, as the one to load on demand', async () => {
    const model = compile(denseModel());
    const values = new Values([3, 1, 2, NaN, 2]);
    await fit(model, [values, checkpointWith({keep: 2})], {epochs: 5});
    expect(await readdir(folder())).toEqual([nameOf(2), nameOf(4), nameOf(5)]);
    const best = {monitor: 'val_loss', value: 1, checkpoint: nameOf(2)};
    expect(await resume(folder())).toMatchObject({epoch: 5, best});
    expect(await resume(folder(), {which: 'best'})).toMatchObject({epoch: 2, best});
  });

  test('best epochs alone, also of a training that was resumed', async () => {
    const args = {saveBestOnly: true, monitor: 'accuracy', keep: 9};
    const values = () => new Values([1, 2, 1, 1.5, 3], 'accuracy');
    const first = compile(denseModel());
    await fit(first, [values(), checkpointWith(args)], {epochs: 3});
    expect(await readdir(folder())).toEqual([nameOf(1), nameOf(2)]);
    const {model, epoch} = await resume(folder());
    await fit(model, [values(), checkpointWith(args)], {epochs: 5, initialEpoch: epoch});
    expect(await readdir(folder())).toEqual([nameOf(1), nameOf(2), nameOf(3)]);
    expect((await resume(folder())).best).toMatchObject({value: 3});
  });

  test('what a loop of the user asks for', async () => {
    const model = denseModel();
    const optimizer = tf.train.sgd(0.1);
    const checkpoint = checkpointWith();
    const at = {epoch: 1, step: 7, stepInEpoch: 2, logs: {val_loss: 0.5}, optimizer};
    expect(await checkpoint.save(model, at)).toBe(join(folder(), nameOf(1)));
    const resumed = await resume(folder());
    expect(resumed).toMatchObject({epoch: 1, step: 7, stepInEpoch: 2});
    expect(resumed.best).toMatchObject({value: 0.5});
    expect(resumed.model.optimizer).toBeUndefined();
    expect(resumed.optimizer.getConfig()).toEqual({learningRate: 0.1});
  });

  test('beside UpdateOpsCheck and the early stopping of tfjs', async () => {
    const stopping = tfl.callbacks.earlyStopping({monitor: 'loss', patience: 9});
    const callbacks = [stopping, new UpdateOpsCheck(), checkpointWith()];
    await fit(compile(denseModel(resBatchNorm())), callbacks, {epochs: 2});
    expect(await readdir(folder())).toEqual([nameOf(1), nameOf(2)]);
  });

  test("model.json is one that tf.loadLayersModel's handlers read", async () => {
    const model = compile(denseModel());
    await checkpointWith().save(model, {epoch: 0, step: 0});
    const json = JSON.parse(
      await readFile(join(folder(), nameOf(1), 'model.json'), 'utf8'),
    );
    const {buffer} = new Uint8Array(
      await readFile(join(folder(), nameOf(1), 'weights.bin')),
    );
    const {weightSpecs, weightData, modelTopology} = await tf.io.getModelArtifactsForJSON(
      json,
      async manifest => [manifest.flatMap(({weights}) => weights), buffer],
    );
    const handler = tf.io.fromMemory({modelTopology, weightSpecs, weightData});
    const loaded = await tfl.loadLayersModel(handler);
    await expect(loaded.getWeights()[0]).toBeAllclose(model.getWeights()[0], {rtol: 0});
  });
});

describe('a folder', () => {
  test('with checkpoints of another training is not taken unless told to', async () => {
    await fit(compile(denseModel()), [checkpointWith()]);
    const other = compile(denseModel());
    await expect(fit(other, [checkpointWith()])).rejects.toThrow(
      `ModelCheckpoint: '${folder()}' holds checkpoints of another training, which this one ` +
        'would replace. Go on with that one, by the model from resume(path), choose ' +
        'another path, or pass {overwrite: true}',
    );
    expect(await readdir(folder())).toEqual([nameOf(1)]);
    await fit(other, [checkpointWith({overwrite: true, keep: 1})]);
    expect(await readdir(folder())).toEqual([nameOf(2)]);
  });

  test('may be used by a second training of the same model', async () => {
    const model = compile(denseModel());
    await fit(model, [checkpointWith()]);
    await fit(model, [checkpointWith()]);
    expect((await resume(folder())).step).toBe(6);
  });

  test('keeps all that is not of ours', async () => {
    const mine = [
      '.checkpoint-1.tmp',
      'checkpoint-00000001.bak',
      'checkpoint-9',
      'notes',
    ];
    for (const file of mine) await mkdir(join(folder(), file));
    await mkdir(join(folder(), '.checkpoint-00000007.tmp'));
    await fit(compile(denseModel()), [checkpointWith()]);
    expect(await readdir(folder())).toEqual([...mine, nameOf(1)].sort());
  });

  test('that is a file is an error before the first step', async () => {
    await writeFile(join(folder(), 'file'), '');
    const file = join(folder(), 'file');
    const model = compile(denseModel());
    await expect(
      fit(model, [new ModelCheckpoint({path: join(file, 'inside')})]),
    ).rejects.toThrow(
      `ModelCheckpoint: '${file}/inside' can't be used for checkpoints: a part of the ` +
        'path is not a folder (ENOTDIR)',
    );
    expect(model.optimizer.iterations).toBe(0);
  });

  test('without checkpoints is an error of resume', async () => {
    const missing = join(folder(), 'missing');
    expect(await hasCheckpoints(missing)).toBe(false);
    await expect(resume(missing)).rejects.toThrow(
      `resume: there is no checkpoint in '${missing}'. hasCheckpoints(path) tells beforehand`,
    );
  });
});
