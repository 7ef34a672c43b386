/** UpdateOpsCheck of batches with one value a channel, of which the variance is 0. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {collectingCheck} from '../../test/collecting_check';
import {
  Block,
  compile,
  denseModel,
  encoder,
  lossOf,
  makeBatch,
  makeDataset,
  meanOf,
  resBatchNorm,
} from '../../test/models';
import type {Layer} from '../../test/models';
import {UpdateOpsCheck} from '..';
import {setProgress} from '../progress';

const ERROR =
  'one value a channel: the batch had one value a channel. One value has variance 0: the ' +
  'output is beta, whatever the input, and the moving variance goes to 0, so that inference ' +
  'mode is useless. Train with larger batches, or freeze the layer: trainable = false, or ' +
  'freezeBatchNorm(model) of @resbatchnorm/layer';
const WARNING =
  'one value a channel: this batch had one value a channel, and the batches before it more. ' +
  'One value has variance 0: the output is beta, whatever the input, and the moving variance ' +
  'is pulled towards 0. Leave such a last batch out, in tf.data by batch(size, false), or ' +
  'choose another batchSize';

function fit(
  model: tfl.LayersModel,
  callbacks: tfl.Callback,
  args: tfl.ModelFitArgs & {examples: number},
): Promise<tfl.History> {
  const {examples, ...rest} = args;
  const {xs, ys} = makeBatch(examples);
  return model.fit(xs, ys, {verbose: 0, ...rest, callbacks});
}

const inPlaces: [string, (norm: Layer) => tfl.LayersModel][] = [
  ['in a model', norm => denseModel(norm)],
  ['in a nested model', norm => denseModel(encoder('inner', norm))],
  ["in a layer of the user's own", norm => denseModel(new Block([norm]))],
];

describe.each(inPlaces)('a norm %s', (_name, modelOf) => {
  test('that is trained on batches of 1 behind a dense layer fails', async () => {
    const layer = resBatchNorm({name: 'bn'});
    const model = compile(modelOf(layer));
    const training = fit(model, new UpdateOpsCheck(), {examples: 3, batchSize: 1});
    await expect(training).rejects.toMatchObject({
      name: 'UpdateOpsError',
      violations: [
        {
          reason: 'one value a channel',
          severity: 'error',
          message: ERROR,
          when: 'epoch 1, batch 1',
        },
      ],
    });
    // What it says: the default momentum is 0.9.
    expect(await meanOf(layer, 'moving_variance')).toBeCloseTo(0.9, 6);
  });

  test('and on one example in all', async () => {
    const training = fit(compile(modelOf(resBatchNorm())), new UpdateOpsCheck(), {
      examples: 1,
    });
    await expect(training).rejects.toThrow(ERROR);
  });

  test('whose last batch of an epoch is of 1 is a warning, once a training', async () => {
    const {check, violations} = collectingCheck();
    const model = compile(modelOf(resBatchNorm()));
    const args = {examples: 33, batchSize: 32, epochs: 3};
    await fit(model, check, args);
    expect(violations).toMatchObject([
      {severity: 'warning', message: WARNING, when: 'epoch 1, batch 2'},
    ]);
    await fit(model, check, args);
    expect(violations).toHaveLength(2);
  });

  test('that is frozen passes', async () => {
    const {check, violations} = collectingCheck();
    const model = compile(modelOf(resBatchNorm({trainable: false})));
    await fit(model, check, {examples: 3, batchSize: 1});
    expect(violations).toEqual([]);
  });
});

test('the warning is not thrown', async () => {
  const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
  try {
    const model = compile(denseModel(resBatchNorm({name: 'bn'})));
    await fit(model, new UpdateOpsCheck(), {examples: 33, batchSize: 32});
    expect(warn.mock.calls).toEqual([
      [
        'UpdateOpsCheck, epoch 1, batch 2: a warning about 1 batch-norm layer.\n' +
          `  bn (ResBatchNorm): ${WARNING}.`,
      ],
    ]);
  } finally {
    warn.mockRestore();
  }
});

test('batches that are all of 1 after larger ones fail, from the second one on', async () => {
  const {check, violations} = collectingCheck();
  const model = compile(denseModel(resBatchNorm()));
  await fit(model, check, {examples: 8});
  await fit(model, check, {examples: 3, batchSize: 1});
  expect(violations).toMatchObject([
    {severity: 'warning', when: 'epoch 1, batch 1'},
    {severity: 'error', when: 'epoch 1, batch 2'},
    {severity: 'error', when: 'epoch 1, batch 3'},
  ]);
});

test('in fitDataset', async () => {
  const {check, violations} = collectingCheck();
  const sizes = [8, 8, 1];
  let i = 0;
  const dataset = makeDataset(3, () => makeBatch(sizes[i++ % 3]));
  const model = compile(denseModel(resBatchNorm()));
  await model.fitDataset(dataset, {epochs: 2, verbose: 0, callbacks: check});
  expect(violations).toMatchObject([{severity: 'warning', when: 'epoch 1, batch 3'}]);
});

test('the rest of an epoch is one, also where a resumed training begins with it', async () => {
  const model = compile(denseModel(resBatchNorm()));
  const position = {epoch: 0, stepInEpoch: 2, step: 2};
  setProgress(model, {...position, training: 'this', bests: new Map()});
  const {check, violations} = collectingCheck();
  const sizes = [1, 8, 8, 1];
  let i = 0;
  const whole = makeDataset(3, () => makeBatch(sizes[i++]));
  const rest = makeDataset(1, () => makeBatch(sizes[i++]));
  Object.assign(rest, {size: 3});
  const args = {verbose: 0, callbacks: check} as const;
  await model.fitDataset(rest, {...args, epochs: 1});
  await model.fitDataset(whole, {...args, initialEpoch: 1, epochs: 2});
  expect(violations).toMatchObject([
    {severity: 'warning', when: 'epoch 1, batch 1'},
    {severity: 'warning', when: 'epoch 2, batch 3'},
  ]);
});

test('in a step of a loop', () => {
  const model = denseModel(resBatchNorm());
  const batch = makeBatch(1);
  const act = () => new UpdateOpsCheck().step(model, () => lossOf(model, batch));
  expect(act).toThrow(ERROR);
});

test('batches of 1 with several values a channel pass', async () => {
  const model = tfl.sequential();
  model.add(tfl.layers.reshape({targetShape: [3, 1], inputShape: [3]}));
  model.add(resBatchNorm());
  model.add(tfl.layers.flatten());
  model.add(tfl.layers.dense({units: 1}));
  const {check, violations} = collectingCheck();
  await fit(compile(model), check, {examples: 3, batchSize: 1});
  expect(violations).toEqual([]);
});

test('virtual batches of 1 fail, with the remedy for that', async () => {
  const args = {virtualBatchSize: 1} as object;
  const model = compile(denseModel(resBatchNorm(args)));
  await expect(fit(model, new UpdateOpsCheck(), {examples: 8})).rejects.toThrow(
    'useless. Give the layer a larger virtualBatchSize, or freeze the layer',
  );
});

test('with renorm the output is not said to be beta', async () => {
  const args = {renorm: true} as object;
  const model = compile(denseModel(resBatchNorm(args)));
  await expect(fit(model, new UpdateOpsCheck(), {examples: 1})).rejects.toThrow(
    'One value has variance 0: the moving variance goes to 0, so that',
  );
});

test('a layer that was not called is told as that, whatever it was called with before', () => {
  const layer = resBatchNorm();
  const model = denseModel(layer);
  tf.dispose(model.apply(makeBatch(1).xs, {training: true}) as tf.Tensor);
  expect(() => new UpdateOpsCheck().step(model, () => {})).toThrow('never called');
});
