/** UpdateOpsCheck around `trainOnBatch` and the steps of custom loops. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {collectUpdateOps} from '@resbatchnorm/layer';

import {
  Block,
  builtIn,
  compile,
  denseModel,
  encoder,
  fillWeight,
  kinds,
  lossOf,
  makeBatch,
  meanOf,
  resBatchNorm,
} from '../../test/models';
import type {Batch, Layer} from '../../test/models';
import {UpdateOpsCheck, UpdateOpsError} from '..';
import type {UpdateOpsViolation} from '..';

declare const backendUnderTest: string;

let batch: Batch;
let optimizer: tf.Optimizer;

beforeEach(() => {
  batch = makeBatch();
  optimizer = tf.train.sgd(0.01);
});

afterEach(() => {
  tf.dispose([batch.xs, batch.ys]);
  optimizer.dispose();
});

/** One step whose update ops are collected, and then run or dropped. */
function collectedStep(model: tfl.LayersModel, then: 'run' | 'dispose'): void {
  const {result, updateOps} = collectUpdateOps(() =>
    optimizer.computeGradients(() => lossOf(model, batch)),
  );
  optimizer.applyGradients(result.grads);
  updateOps[then]();
  tf.dispose([result.grads, result.value] as tf.TensorContainer);
}

function minimize(model: tfl.LayersModel, training = true): tf.Scalar {
  return optimizer.minimize(() => lossOf(model, batch, training), true)!;
}

function reasonsOf(act: () => unknown): [string, string][] {
  try {
    act();
  } catch (error) {
    if (!(error instanceof UpdateOpsError)) throw error;
    return error.violations.map(({layer, reason}) => [layer, reason]);
  }
  return [];
}

describe.each(kinds)('with %s', (className, norm) => {
  let model: tfl.LayersModel;
  let check: UpdateOpsCheck;

  beforeEach(() => {
    model = compile(
      denseModel(encoder('inner', norm({name: 'bn'})), norm({name: 'bn_1'})),
    );
    check = new UpdateOpsCheck();
  });

  test('trainOnBatch passes, and its loss is returned', async () => {
    const loss = check.step(model, () => model.trainOnBatch(batch.xs, batch.ys));
    expect(loss).toBeInstanceOf(Promise);
    expect(await loss).toEqual(expect.any(Number));
    expect(check.report()).toMatchObject([
      {layer: 'inner/bn', className, steps: 1, updates: 1},
      {layer: 'bn_1', className, steps: 1, updates: 1},
    ]);
  });

  test('optimizer.minimize passes, and its loss is returned', async () => {
    const loss = check.step(model, () => minimize(model));
    expect(loss).toBeInstanceOf(tf.Tensor);
    expect((await loss.data())[0]).toBeGreaterThan(0);
    expect(check.report()).toMatchObject([{updates: 1}, {updates: 1}]);
  });

  test('a model that is trained in inference mode is reported as that', () => {
    expect(reasonsOf(() => check.step(model, () => minimize(model, false)))).toEqual([
      ['inner/bn', 'trained in inference mode'],
      ['bn_1', 'trained in inference mode'],
    ]);
  });

  test('a model that is applied in inference mode, and not trained, is reported', () => {
    const act = () => lossOf(model, batch, false).dispose();
    expect(reasonsOf(() => check.step(model, act))).toEqual([
      ['inner/bn', 'never called'],
      ['bn_1', 'never called'],
    ]);
  });

  test('a step that does nothing is reported', () => {
    expect(reasonsOf(() => check.step(model, () => {}))).toHaveLength(2);
  });

  test('a layer that is frozen while the step runs is reported as that', () => {
    const act = () =>
      check.step(model, () => {
        (model.layers[2] as Layer).trainable = false;
      });
    expect(reasonsOf(act)).toEqual([
      ['inner/bn', 'never called'],
      ['bn_1', 'frozen in the step'],
    ]);
  });

  test.each(['moving_mean', 'moving_variance'])(
    'a frozen layer of which %s alone is written is reported',
    name => {
      const layer = norm({name: 'frozen', trainable: false});
      const act = () => check.step(denseModel(layer), () => fillWeight(layer, name, 0.5));
      expect(reasonsOf(act)).toEqual([['frozen', 'frozen but updated']]);
    },
  );

  test('a layer that is never built is reported', () => {
    const block = new Block([]);
    block.outside = norm({name: 'unbuilt'});
    const blocks = denseModel(block);
    const act = () => void check.step(blocks, () => minimize(blocks));
    expect(reasonsOf(act)).toEqual([['block/unbuilt', 'never called']]);
  });

  test('a sync step throws, an async one rejects', async () => {
    expect(() => check.step(model, () => 1)).toThrow(
      'UpdateOpsCheck, step 1: 2 batch-norm',
    );
    const rejected = check.step(model, async () => 1);
    await expect(rejected).rejects.toThrow('UpdateOpsCheck, step 2: 2 batch-norm');
  });

  test('what the step throws passes through unchanged, and is no step', async () => {
    const error = new Error('mine');
    const fail = () => {
      throw error;
    };
    expect(() => check.step(model, fail)).toThrow(error);
    await expect(check.step(model, async () => fail())).rejects.toBe(error);
    expect(check.report()).toMatchObject([{steps: 0}, {steps: 0}]);
  });

  test('many steps leak nothing', () => {
    // A step takes long on a GPU made of software.
    const count = backendUnderTest === 'webgpu' ? 20 : 200;
    const step = () => check.step(model, () => minimize(model)).dispose();
    step();
    const {numTensors} = tf.memory();
    for (let i = 0; i < count; i++) step();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(check.report()).toMatchObject([
      {steps: count + 1, updates: count + 1},
      {steps: count + 1},
    ]);
  });

  test('an error leaks nothing that the step returns, and spares what it was given', async () => {
    const {numTensors} = tf.memory();
    const step = () => ({
      loss: minimize(model, false),
      batch,
      weight: model.weights[0].read(),
    });
    expect(reasonsOf(() => check.step(model, step))).toHaveLength(2);
    await expect(check.step(model, async () => step())).rejects.toThrow(UpdateOpsError);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(batch.xs.isDisposed).toBe(false);
    expect(model.weights[0].read().isDisposed).toBe(false);
  });

  test('checkStatistics finds values that are not finite, and leaks nothing', async () => {
    check.step(model, () => minimize(model)).dispose();
    const {numTensors} = tf.memory();
    await check.checkStatistics(model);
    fillWeight(model.layers[2], 'moving_variance', Infinity);
    await expect(check.checkStatistics(model)).rejects.toThrow(
      'UpdateOpsCheck, after step 1: 1 batch-norm layer failed.\n' +
        `  bn_1 (${className}): non-finite statistics: values of moving_variance that are ` +
        'NaN or infinite: 4 of 4.',
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('checkStatistics names the lowest of negative variances; 0 is none', async () => {
    fillWeight(model.layers[2], 'moving_variance', 0);
    await check.checkStatistics(model);
    const variance = model.layers[2].weights.at(-1)!;
    tf.tidy(() => void variance.write(tf.tensor1d([-1, -3, 0, 2])));
    await expect(check.checkStatistics(model)).rejects.toThrow(
      'negative variance: values of moving_variance below zero: 2 of 4, the lowest -3',
    );
  });

  test('a layer of which no step was seen is in the report', async () => {
    (model.layers[2] as Layer).trainable = false;
    await check.checkStatistics(model);
    expect(check.report()).toMatchObject([
      {layer: 'inner/bn', frozen: false, steps: 0, updates: 0},
      {layer: 'bn_1', frozen: true, steps: 0, updates: 0},
    ]);
  });

  test('a layer that is built in its first step passes', async () => {
    const late = norm({name: 'late'});
    class Lazy extends tfl.layers.Layer {
      static className = 'Lazy';
      readonly held = late;
      override call(x: tf.Tensor, kwargs: object): tf.Tensor {
        return late.apply([x].flat()[0], kwargs) as tf.Tensor;
      }
    }
    const lazy = denseModel(new Lazy({}));
    await check.checkStatistics(lazy);
    for (let step = 0; step < 2; ++step) check.step(lazy, () => minimize(lazy)).dispose();
    expect(check.report()).toMatchObject([{steps: 2, updates: 2, violations: 0}]);
  });
});

describe('collected update ops', () => {
  test('that are run pass', () => {
    const model = denseModel(resBatchNorm(), resBatchNorm());
    const check = new UpdateOpsCheck();
    check.step(model, () => collectedStep(model, 'run'));
    expect(check.report()).toMatchObject([{updates: 1}, {updates: 1}]);
  });

  test('that are dropped are reported, and leak nothing', () => {
    const model = denseModel(encoder('inner', resBatchNorm({name: 'bn'})));
    const check = new UpdateOpsCheck();
    const {numTensors} = tf.memory();
    expect(() => check.step(model, () => collectedStep(model, 'dispose'))).toThrow(
      'UpdateOpsCheck, step 1: 1 batch-norm layer failed.\n' +
        '  inner/bn (ResBatchNorm): collected and not run: update ops made in this step: ' +
        '1, run: 0. Run what collectUpdateOps returned, with updateOps.run(), before ' +
        'the step ends.',
    );
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('of which some are dropped are reported', () => {
    const model = denseModel(resBatchNorm({name: 'bn'}));
    const act = () =>
      new UpdateOpsCheck().step(model, () => {
        collectedStep(model, 'run');
        collectedStep(model, 'dispose');
      });
    expect(act).toThrow('update ops made in this step: 2, run: 1');
  });

  test('that run after the layer was frozen are reported', () => {
    const layer = resBatchNorm({name: 'bn'});
    const model = denseModel(layer);
    const {result, updateOps} = collectUpdateOps(() => lossOf(model, batch));
    result.dispose();
    layer.trainable = false;
    const act = () => new UpdateOpsCheck().step(model, () => updateOps.run());
    expect(reasonsOf(act)).toEqual([['bn', 'frozen but updated']]);
  });
});

test('statistics that were written by something else are not taken for an update', () => {
  const layer = resBatchNorm({name: 'bn'});
  const model = denseModel(layer);
  const act = () =>
    new UpdateOpsCheck().step(model, () => {
      fillWeight(layer, 'moving_mean', 1);
      fillWeight(layer, 'moving_variance', 1);
    });
  expect(reasonsOf(act)).toEqual([['bn', 'never called']]);
});

test('the built-in is updated where both of its statistics are written, not one alone', () => {
  const layer = builtIn({name: 'bn'});
  const model = denseModel(layer);
  const check = new UpdateOpsCheck();
  const act = () => check.step(model, () => fillWeight(layer, 'moving_variance', 1));
  expect(reasonsOf(act)).toEqual([['bn', 'never called']]);
  expect(check.report()).toMatchObject([{updates: 0}]);
});

test('an update op that leaves the values where they are, as of a skipped batch, is one', () => {
  const layer = resBatchNorm({name: 'bn'});
  const model = denseModel(layer);
  for (const weight of layer.nonTrainableWeights) weight.write = () => weight;
  const check = new UpdateOpsCheck();
  check.step(model, () => minimize(model)).dispose();
  expect(check.report()).toMatchObject([{updates: 1, violations: 0}]);
});

test('a layer that is shared counts each of its updates', () => {
  const shared = resBatchNorm({name: 'shared'});
  const model = denseModel(shared, encoder('inner', shared));
  const check = new UpdateOpsCheck();
  check.step(model, () => minimize(model)).dispose();
  expect(check.report()).toMatchObject([{layer: 'shared', steps: 1, updates: 2}]);
});

describe('updates skipped as non-finite', () => {
  let layer: Layer;
  let model: tfl.LayersModel;
  let violations: UpdateOpsViolation[];
  let check: UpdateOpsCheck;

  beforeEach(() => {
    layer = resBatchNorm({name: 'bn'});
    model = denseModel(layer);
    violations = [];
    check = new UpdateOpsCheck({onViolation: found => violations.push(...found)});
  });

  function forward(value?: number): void {
    const xs =
      value === undefined ? tf.clone(batch.xs) : tf.fill<tf.Rank.R2>([8, 3], value);
    lossOf(model, {xs, ys: batch.ys}).dispose();
    xs.dispose();
  }

  test('are a warning if they are some of the updates', async () => {
    check.step(model, () => forward());
    check.step(model, () => forward(NaN));
    expect(violations).toEqual([]);
    await check.checkStatistics(model);
    expect(violations).toEqual([
      {
        layer: 'bn',
        className: 'ResBatchNorm',
        reason: 'skipped as non-finite',
        severity: 'warning',
        message:
          'skipped as non-finite: 1 of the last 2 updates. The mean or variance of the batch ' +
          'was not finite, so the moving statistics were left as they were',
        when: 'after step 2',
      },
    ]);
    expect(check.report()).toMatchObject([{updates: 2, skippedUpdates: 1}]);
    expect(await meanOf(layer, 'moving_mean')).not.toBeNaN();
  });

  test('are an error if they are all of the updates', async () => {
    check.step(model, () => forward(Infinity));
    await check.checkStatistics(model);
    expect(violations).toMatchObject([{severity: 'error'}]);
  });

  test('are told once, and not those from before the check', async () => {
    forward(NaN);
    check.step(model, () => forward());
    await check.checkStatistics(model);
    expect(violations).toEqual([]);
    check.step(model, () => forward(NaN));
    check.step(model, () => forward());
    await check.checkStatistics(model);
    await check.checkStatistics(model);
    expect(violations.map(({message}) => message)).toEqual([
      expect.stringContaining('1 of the last 2 updates'),
    ]);
  });

  test('are counted from where the check began', async () => {
    forward();
    forward();
    check.step(model, () => forward(NaN));
    check.step(model, () => forward());
    await check.checkStatistics(model);
    expect(violations.map(({message}) => message)).toEqual([
      expect.stringContaining('1 of the last 2 updates'),
    ]);
  });

  test('are not thrown as a warning, but written to the console', async () => {
    const strict = new UpdateOpsCheck();
    strict.step(model, () => forward());
    strict.step(model, () => forward(NaN));
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
    try {
      await strict.checkStatistics(model);
      expect(warn).toHaveBeenCalledWith(
        expect.stringContaining('bn (ResBatchNorm): skipped'),
      );
    } finally {
      warn.mockRestore();
    }
    strict.step(model, () => forward(NaN));
    await expect(strict.checkStatistics(model)).rejects.toThrow(
      'skipped as non-finite: the last update. The mean or variance',
    );
  });
});

test('nothing is read back by a step', () => {
  const model = denseModel(resBatchNorm(), builtIn());
  const check = new UpdateOpsCheck();
  const backend = tf.backend();
  const reads = [jest.spyOn(backend, 'read'), jest.spyOn(backend, 'readSync')];
  try {
    optimizer.minimize(() => lossOf(model, batch));
    const without = reads.map(spy => spy.mock.calls.length);
    reads.forEach(spy => spy.mockClear());
    check.reset();
    const fresh = denseModel(resBatchNorm(), builtIn());
    reads.forEach(spy => spy.mockClear());
    check.step(fresh, () => void optimizer.minimize(() => lossOf(fresh, batch)));
    expect(reads.map(spy => spy.mock.calls.length)).toEqual(without);
  } finally {
    reads.forEach(spy => spy.mockRestore());
  }
});

test.each([
  [undefined, 'undefined'],
  [Promise.resolve(1), 'an instance of Promise'],
])('%p in place of the function is an error that says so', (fn, received) => {
  const model = denseModel(resBatchNorm());
  const act = () => new UpdateOpsCheck().step(model, fn as unknown as () => void);
  expect(act).toThrow(expect.objectContaining({name: 'ValueError'}));
  expect(act).toThrow(
    "UpdateOpsCheck.step: argument 'fn' must be a function that does one training step. " +
      `Received: ${received}`,
  );
});

test('a wrong model is an error that says where', async () => {
  const check = new UpdateOpsCheck();
  const model = {} as tfl.LayersModel;
  expect(() => check.step(model, () => {})).toThrow(
    "UpdateOpsCheck.step: argument 'model'",
  );
  await expect(check.checkStatistics(model)).rejects.toThrow(
    "UpdateOpsCheck.checkStatistics: argument 'model' must be a tf.LayersModel",
  );
});
