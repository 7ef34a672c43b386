import {collectUpdateOps} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';

import {builtIn, compile, denseModel, makeBatch, resBatchNorm} from '../../test/models';
import {UpdateOpsCheck} from '..';

test('before any training', () => {
  expect(new UpdateOpsCheck().summary()).toBe(
    '0 layers × 0 steps = 0 updates run, 0 skipped as non-finite',
  );
});

test('each layer updated in each step', async () => {
  const {xs, ys} = makeBatch();
  const check = new UpdateOpsCheck();
  const model = compile(denseModel(resBatchNorm(), builtIn()));
  await model.fit(xs, ys, {epochs: 3, verbose: 0, callbacks: check});
  expect(check.summary()).toBe(
    '2 layers × 3 steps = 6 updates run, 0 skipped as non-finite',
  );
});

test('updates that did not run, and some that were skipped', async () => {
  const {xs, ys} = makeBatch();
  const check = new UpdateOpsCheck({onViolation: () => {}});
  const model = compile(denseModel(resBatchNorm()));
  const nans = tf.fill<tf.Rank.R2>([8, 3], NaN);
  await model.fit(nans, ys, {verbose: 0, callbacks: check});
  await check.step(model, async () => {
    const {result, updateOps} = collectUpdateOps(() => model.apply(xs, {training: true}));
    tf.dispose(result as tf.Tensor);
    updateOps.dispose();
  });
  expect(check.summary()).toBe(
    '1 layer, 2 steps, 1 updates run, 1 skipped as non-finite',
  );
});
