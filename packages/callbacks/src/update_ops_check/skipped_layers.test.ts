/** UpdateOpsCheck of layers that are not called in each step, as with stochastic depth. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {collectingCheck} from '../../test/collecting_check';
import {
  compile,
  denseModel,
  encoder,
  fillWeight,
  kinds,
  lossOf,
  makeBatch,
} from '../../test/models';
import type {Layer} from '../../test/models';
import {UpdateOpsCheck} from '..';
import type {UpdateOpsCheckArgs} from '..';

/** y = x + norm(x), of which some steps leave norm(x) out. */
class Branch extends tfl.layers.Layer {
  static className = 'Branch';
  private calls = 0;

  /** @param isDropped By the number of the call in training mode. */
  constructor(
    private readonly norm: Layer,
    private readonly isDropped: (call: number) => boolean,
  ) {
    super({name: 'branch'});
  }

  override build(inputShape: tfl.Shape): void {
    this.norm.build(inputShape);
    super.build(inputShape);
  }

  override call(x: tf.Tensor | tf.Tensor[], kwargs: {training?: boolean}): tf.Tensor {
    const [input] = [x].flat();
    if (kwargs['training'] && this.isDropped(this.calls++)) return tf.clone(input);
    return tf.add(input, this.norm.apply(input, kwargs) as tf.Tensor);
  }

  override get trainableWeights(): tfl.LayerVariable[] {
    return this.trainable ? this.norm.trainableWeights : [];
  }
}

function fit(
  model: tfl.LayersModel,
  check: UpdateOpsCheck,
  epochs = 1,
): Promise<tfl.History> {
  const {xs, ys} = makeBatch(24);
  return model.fit(xs, ys, {batchSize: 8, epochs, verbose: 0, callbacks: check});
}

describe.each(kinds)('%s', (_className, makeNorm) => {
  const branchModel = (isDropped: (call: number) => boolean) =>
    compile(denseModel(new Branch(makeNorm({name: 'bn'}), isDropped)));
  const everyOther = (call: number) => call % 2 === 1;

  test('skipped after it was called: the message says what that may be', async () => {
    const training = fit(branchModel(everyOther), new UpdateOpsCheck());
    await expect(training).rejects.toThrow(
      'never called: it was called in training mode in earlier steps, and not in this one. ' +
        'If it may be skipped, as in a residual branch that is dropped at random ' +
        '(stochastic depth), say so: new UpdateOpsCheck({mayBeSkipped: ["branch/bn"]}). If ' +
        'not: look whether it is on the way from the inputs to the loss, whether the model ' +
        'was applied with {training: true}, and whether the batch was empty.',
    );
  });

  test('skipped from the first step on', async () => {
    const training = fit(
      branchModel(() => true),
      new UpdateOpsCheck(),
    );
    await expect(training).rejects.toThrow(
      'never called: it was not called in training mode in this step. Look whether',
    );
  });

  test.each<[string, UpdateOpsCheckArgs['mayBeSkipped']]>([
    ['its path', ['branch/bn']],
    ['its name', ['other', 'bn']],
    ['the name of what it is in', ['branch']],
    ['a function of its path', path => path.startsWith('branch/')],
  ])('it may be skipped, as said by %s', async (_name, mayBeSkipped) => {
    const {check, violations} = collectingCheck({mayBeSkipped});
    await fit(branchModel(everyOther), check, 2);
    expect(violations).toEqual([]);
    expect(check.report()).toMatchObject([{steps: 6, updates: 3}]);
  });

  test.each<[string, UpdateOpsCheckArgs['mayBeSkipped']]>([
    ['a part of its name', ['b', 'ranch', 'branch/b']],
    ['a function that says no', () => false],
  ])('it may not, as said by %s', async (_name, mayBeSkipped) => {
    const {check, violations} = collectingCheck({mayBeSkipped});
    await fit(branchModel(everyOther), check);
    expect(violations).toMatchObject([{reason: 'never called'}]);
  });

  test('trained without being called in training mode, it fails still', () => {
    const layer = makeNorm({name: 'bn'});
    const model = denseModel(layer);
    const check = new UpdateOpsCheck({mayBeSkipped: ['bn']});
    const optimizer = tf.train.sgd(0.01);
    const minimize = () =>
      void optimizer.minimize(() => lossOf(model, makeBatch(), false));
    expect(() => check.step(model, minimize)).toThrow('trained in inference mode');
  });

  test.each(['gamma', 'beta'])(
    'a regularizer of %s, which trains it then, is no reason to fail',
    name => {
      const regularizer = {[`${name}Regularizer`]: tfl.regularizers.l2()};
      const layer = makeNorm({name: 'bn', ...regularizer});
      const model = denseModel(layer);
      const check = new UpdateOpsCheck({mayBeSkipped: ['bn']});
      check.step(model, () => fillWeight(layer, name, 0.9));
      expect(check.report()).toMatchObject([{steps: 1, violations: 0}]);
    },
  );

  test('skipped in each of a hundred steps is a warning, once a training', async () => {
    const {check, violations} = collectingCheck({mayBeSkipped: ['branch']});
    const model = branchModel(() => true);
    await fit(model, check, 33);
    expect(violations).toEqual([]);
    await fit(model, check, 36);
    expect(violations).toMatchObject([
      {
        layer: 'branch/bn',
        severity: 'warning',
        message:
          'never called: mayBeSkipped names it, and it was not called in training mode in ' +
          'any of the last 102 steps. Look whether it is on the way from the inputs to the ' +
          'loss, whether the model was applied with {training: true}, and whether the batch ' +
          'was empty',
        when: 'end of epoch 34',
      },
    ]);
  });

  test('a layer that is shared may be skipped if one of its paths is named', () => {
    const shared = makeNorm({name: 'shared'});
    const model = denseModel(shared, encoder('inner', shared));
    const check = new UpdateOpsCheck({mayBeSkipped: ['inner']});
    check.step(model, () => {});
    expect(check.report()).toMatchObject([{steps: 1, violations: 0}]);
  });

  test('skipped in some of more than a hundred steps is no warning', async () => {
    const {check, violations} = collectingCheck({mayBeSkipped: ['branch']});
    await fit(branchModel(everyOther), check, 36);
    expect(violations).toEqual([]);
  });

  test('a frozen layer is not called skipped', async () => {
    const layer = makeNorm({name: 'bn', trainable: false});
    const {check, violations} = collectingCheck({mayBeSkipped: ['branch']});
    await fit(compile(denseModel(new Branch(layer, () => true))), check, 36);
    expect(violations).toEqual([]);
  });
});
