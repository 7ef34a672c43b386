/** UpdateOpsCheck as a callback of `fit` and `fitDataset`. */
import {collectUpdateOps} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {
  builtIn,
  compile,
  denseModel,
  encoder,
  fillWeight,
  kinds,
  makeBatch,
  makeDataset,
  resBatchNorm,
} from '../../test/models';
import type {Layer} from '../../test/models';
import {UpdateOpsCheck, UpdateOpsError} from '..';
import type {UpdateOpsCheckArgs} from '..';

declare const backendUnderTest: string;

/** Trains 24 examples in batches of 8, so 3 steps an epoch. */
async function fit(
  model: tfl.LayersModel,
  callbacks: UpdateOpsCheck | tfl.Callback[],
  args: tfl.ModelFitArgs = {},
): Promise<tfl.History> {
  const {xs, ys} = makeBatch(24);
  try {
    return await model.fit(xs, ys, {
      batchSize: 8,
      epochs: 1,
      verbose: 0,
      ...args,
      callbacks,
    });
  } finally {
    tf.dispose([xs, ys]);
  }
}

function fitDataset(
  model: tfl.LayersModel,
  check: UpdateOpsCheck,
  args: object = {},
): Promise<tfl.History> {
  return model.fitDataset(makeDataset(3), {
    epochs: 1,
    verbose: 0,
    callbacks: check,
    ...args,
  } as tfl.ModelFitDatasetArgs<tf.TensorContainer>);
}

/** The error that the promise is rejected with. */
async function errorOf(promise: Promise<unknown>): Promise<UpdateOpsError> {
  return promise.then(
    () => {
      throw new Error('expected an error');
    },
    error => error,
  );
}

/** A callback that does something after each batch: before the check, if listed before. */
class AfterBatch extends tfl.Callback {
  constructor(private readonly act: (batch: number) => void) {
    super();
  }

  override async onBatchEnd(batch: number): Promise<void> {
    this.act(batch);
  }
}

describe.each(kinds)('with %s', (className, norm) => {
  const models: [string, () => tfl.LayersModel][] = [
    ['a plain', () => denseModel(norm({name: 'bn'}))],
    ['a nested', () => denseModel(encoder('inner', norm({name: 'bn'})))],
  ];

  test.each(models)('%s model that trains passes, in fit', async (_name, makeModel) => {
    const model = compile(makeModel());
    const check = new UpdateOpsCheck();
    await fit(model, check, {epochs: 2});
    expect(check.report()).toEqual([
      {
        layer: expect.stringMatching(/^(inner\/)?bn$/),
        className,
        frozen: false,
        steps: 6,
        updates: 6,
        violations: 0,
        ...(className === 'ResBatchNorm' && {skippedUpdates: 0}),
      },
    ]);
  });

  test.each(models)(
    '%s model that trains passes, in fitDataset',
    async (_name, makeModel) => {
      const check = new UpdateOpsCheck();
      await fitDataset(compile(makeModel()), check, {epochs: 2});
      expect(check.report()).toMatchObject([{steps: 6, updates: 6}]);
    },
  );

  test('TimeDistributed passes', async () => {
    const model = tfl.sequential();
    model.add(tfl.layers.reshape({targetShape: [3, 1], inputShape: [3]}));
    model.add(tfl.layers.timeDistributed({layer: norm({name: 'bn'}), name: 'steps'}));
    model.add(tfl.layers.flatten());
    model.add(tfl.layers.dense({units: 1}));
    const check = new UpdateOpsCheck();
    await fit(compile(model), check);
    // ResBatchNorm counts each update op, and makes one a time step.
    const updates = className === 'ResBatchNorm' ? 9 : 3;
    expect(check.report()).toMatchObject([{layer: 'steps/bn', steps: 3, updates}]);
  });

  test('a layer that is not on the way to the outputs is reported', async () => {
    const {inputs, outputs} = denseModel(norm());
    const model = tfl.model({inputs, outputs});
    // A layer of the model that its outputs do not need.
    const stray = norm({name: 'stray'});
    stray.build([null, 4]);
    model.layers.push(stray);
    compile(model);
    const error = await errorOf(fit(model, new UpdateOpsCheck()));
    expect(error).toBeInstanceOf(UpdateOpsError);
    expect(error.message).toBe(
      'UpdateOpsCheck, epoch 1, batch 1: 1 batch-norm layer failed.\n' +
        `  stray (${className}): never called: it was not called in training mode in this ` +
        'step. Look whether it is on the way from the inputs to the loss, whether the model ' +
        'was applied with {training: true}, and whether the batch was empty. If it may be ' +
        'skipped, as in a residual branch that is dropped at random (stochastic depth), say ' +
        'so: new UpdateOpsCheck({mayBeSkipped: ["stray"]}).',
    );
  });

  test('NaN statistics and a negative variance are reported at the end of the epoch', async () => {
    const [bad, negative] = [norm({name: 'bad'}), norm({name: 'negative'})];
    const model = compile(denseModel(bad, negative));
    const spoil = new AfterBatch(batch => {
      if (batch !== 2) return;
      fillWeight(bad, 'moving_mean', NaN);
      fillWeight(negative, 'moving_variance', -0.5);
    });
    const error = await errorOf(fit(model, [new UpdateOpsCheck(), spoil]));
    expect(error.message).toBe(
      'UpdateOpsCheck, end of epoch 1: 2 batch-norm layers failed.\n' +
        `  bad (${className}): non-finite statistics: values of moving_mean that are NaN or ` +
        'infinite: 4 of 4.\n' +
        `  negative (${className}): negative variance: values of moving_variance below zero: ` +
        '4 of 4, the lowest -0.5.',
    );
  });
});

describe('frozen layers', () => {
  const freezers: [string, () => tfl.LayersModel][] = [
    ['the layer', () => denseModel(resBatchNorm({name: 'bn', trainable: false}))],
    ['its model', () => frozenEncoder(resBatchNorm)],
    ['an enclosing model', () => frozenEnclosing(resBatchNorm)],
  ];

  function frozenEncoder(norm: typeof builtIn): tfl.LayersModel {
    const inner = encoder('inner', norm({name: 'bn'}));
    const model = denseModel(inner);
    inner.trainable = false;
    return model;
  }

  function frozenEnclosing(norm: typeof builtIn): tfl.LayersModel {
    const outer = encoder('outer', encoder('inner', norm({name: 'bn'})));
    const model = denseModel(outer);
    outer.trainable = false;
    return model;
  }

  test.each(freezers)('ResBatchNorm frozen by %s passes', async (_by, makeModel) => {
    const check = new UpdateOpsCheck();
    await fit(compile(makeModel()), check);
    expect(check.report()).toMatchObject([{frozen: true, steps: 3, updates: 0}]);
  });

  test.each([
    ['the layer', 'bn', () => denseModel(builtIn({name: 'bn', trainable: false}))],
    ['its model', 'inner/bn', () => frozenEncoder(builtIn)],
    ['an enclosing model', 'outer/inner/bn', () => frozenEnclosing(builtIn)],
  ])(
    'the drift of the built-in is caught, frozen by %s',
    async (_by, path, makeModel) => {
      const error = await errorOf(fit(compile(makeModel()), new UpdateOpsCheck()));
      expect(error.name).toBe('UpdateOpsError');
      expect(error.message).toBe(
        'UpdateOpsCheck, epoch 1, batch 1: 1 batch-norm layer failed.\n' +
          `  ${path} (BatchNormalization): frozen but updated: its moving statistics were ` +
          'updated in spite of that. The built-in layer goes on updating them in training mode ' +
          'when it is frozen; ResBatchNorm does not.',
      );
    },
  );

  test('may be frozen and unfrozen between two trainings', async () => {
    const layer = resBatchNorm();
    const model = compile(denseModel(layer));
    const check = new UpdateOpsCheck();
    await fit(model, check);
    layer.trainable = false;
    await fit(compile(model), check);
    expect(check.report()).toMatchObject([{frozen: true, steps: 6, updates: 3}]);
  });
});

describe('onViolation', () => {
  const makeDrifting = () =>
    compile(denseModel(builtIn({name: 'a', trainable: false}), builtIn({name: 'b'})));

  async function warningsOf(act: () => Promise<unknown>): Promise<string[]> {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
    try {
      await act();
      return warn.mock.calls.map(([message]) => message);
    } finally {
      warn.mockRestore();
    }
  }

  test("'throw' is the default and stops the training after the step", async () => {
    const check = new UpdateOpsCheck();
    const error = await errorOf(fit(makeDrifting(), check));
    expect(error.violations).toEqual([
      {
        layer: 'a',
        className: 'BatchNormalization',
        reason: 'frozen but updated',
        severity: 'error',
        message: expect.stringContaining('in spite of that'),
        when: 'epoch 1, batch 1',
      },
    ]);
    expect(check.report()).toMatchObject([
      {layer: 'a', steps: 1, violations: 1},
      {layer: 'b', steps: 1, violations: 0},
    ]);
  });

  test("'warn' warns once a training and lets it go on", async () => {
    const check = new UpdateOpsCheck({onViolation: 'warn'});
    const model = makeDrifting();
    const warnings = await warningsOf(async () => {
      await fit(model, check, {epochs: 2});
      await fit(model, check);
    });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toContain('a (BatchNormalization): frozen but updated');
    expect(check.report()).toMatchObject([{violations: 9}, {violations: 0}]);
  });

  test('a function is given the violations of each step', async () => {
    const seen: string[] = [];
    const onViolation: UpdateOpsCheckArgs['onViolation'] = violations =>
      violations.forEach(({layer, when}) => seen.push(`${layer}, ${when}`));
    await fit(makeDrifting(), new UpdateOpsCheck({onViolation}), {epochs: 2});
    expect(seen).toEqual(
      [1, 2].flatMap(epoch =>
        [1, 2, 3].map(batch => `a, epoch ${epoch}, batch ${batch}`),
      ),
    );
  });

  test('what a function throws ends the training', async () => {
    const mine = new Error('mine');
    const check = new UpdateOpsCheck({
      onViolation: () => {
        throw mine;
      },
    });
    await expect(fit(makeDrifting(), check)).rejects.toBe(mine);
    expect(check.report()).toMatchObject([{steps: 1}, {steps: 1}]);
  });
});

describe('tensors and the device', () => {
  type Train = (
    check: UpdateOpsCheck,
    norm: typeof builtIn,
    epochs: number,
  ) => Promise<unknown>;

  /** Trains with frozen built-in layers, which fail, or with trainable ResBatchNorm layers. */
  async function trainAndDispose(
    norm: typeof builtIn,
    train: (
      model: tfl.LayersModel,
      validationData: [tf.Tensor, tf.Tensor],
    ) => Promise<unknown>,
  ): Promise<void> {
    const model = compile(denseModel(norm({trainable: norm === resBatchNorm})));
    const {xs, ys} = makeBatch();
    try {
      await train(model, [xs, ys]);
    } finally {
      model.dispose();
      tf.dispose([xs, ys]);
    }
  }

  // Three steps an epoch.
  const trainings: [string, Train][] = [
    [
      'fit',
      (check, norm, epochs) =>
        trainAndDispose(norm, (model, validationData) =>
          fit(model, check, {epochs, validationData}),
        ),
    ],
    [
      'fitDataset',
      (check, norm, epochs) =>
        trainAndDispose(norm, (model, validationData) =>
          fitDataset(model, check, {epochs, validationData}),
        ),
    ],
  ];

  test.each(trainings)('many steps of %s leak nothing', async (_name, train) => {
    // A step takes long on a GPU made of software.
    const epochs = backendUnderTest === 'webgpu' ? 3 : 67;
    await train(new UpdateOpsCheck(), resBatchNorm, 1);
    const {numTensors} = tf.memory();
    const check = new UpdateOpsCheck();
    await train(check, resBatchNorm, epochs);
    expect(check.report()[0].steps).toBe(3 * epochs);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test.each(trainings)(
    'an error after a step of %s leaks nothing',
    async (_name, train) => {
      await errorOf(train(new UpdateOpsCheck(), builtIn, 1));
      const {numTensors} = tf.memory();
      const error = await errorOf(train(new UpdateOpsCheck(), builtIn, 1));
      expect(error.violations[0].when).toBe('epoch 1, batch 1');
      expect(tf.memory().numTensors).toBe(numTensors);
    },
  );

  test.each(trainings)('an error late in %s leaks nothing', async (_name, train) => {
    let violations = 0;
    const onViolation = () => {
      if (++violations === 8) throw new Error('the 8th');
    };
    await errorOf(train(new UpdateOpsCheck({onViolation}), builtIn, 3));
    const {numTensors} = tf.memory();
    violations = 0;
    const error = await errorOf(train(new UpdateOpsCheck({onViolation}), builtIn, 3));
    expect(error.message).toBe('the 8th');
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test('nothing is read back during steps', async () => {
    const backend = tf.backend();
    const reads = [jest.spyOn(backend, 'read'), jest.spyOn(backend, 'readSync')];
    const countReads = () => reads.reduce((sum, spy) => sum + spy.mock.calls.length, 0);
    const readsAfterBatches: number[] = [];
    const note = new AfterBatch(() => readsAfterBatches.push(countReads()));
    const train = async (callbacks: tfl.Callback[]) => {
      const model = compile(denseModel(resBatchNorm(), builtIn()));
      reads.forEach(spy => spy.mockClear());
      readsAfterBatches.length = 0;
      await fit(model, callbacks);
      return [...readsAfterBatches];
    };
    try {
      const without = await train([note]);
      expect(await train([new UpdateOpsCheck(), note])).toEqual(without);
      // The statistics of the two layers and the count of skipped updates, at the end.
      expect(countReads()).toBeGreaterThanOrEqual(without[2] + 5);
    } finally {
      reads.forEach(spy => spy.mockRestore());
    }
  });
});

test('composes with the callbacks of tfjs, which may end the training', async () => {
  const check = new UpdateOpsCheck();
  const stop = tfl.callbacks.earlyStopping({monitor: 'loss', baseline: -1});
  const history = await fit(compile(denseModel(resBatchNorm())), [check, stop], {
    epochs: 9,
  });
  expect(history.epoch).toEqual([0]);
  expect(check.report()).toMatchObject([{steps: 3, updates: 3}]);
});

test('the event loop runs during fit', async () => {
  // A timer that is due at once runs as soon as the event loop does.
  const clock = jest.spyOn(tf.util, 'now');
  let time = 1e9;
  clock.mockImplementation(() => (time += 100));
  const ran: number[] = [];
  let batches = 0;
  const count = new AfterBatch(() => {
    batches += 1;
    setTimeout(() => ran.push(batches));
  });
  try {
    await fit(compile(denseModel(resBatchNorm())), [new UpdateOpsCheck(), count], {
      epochs: 3,
    });
  } finally {
    clock.mockRestore();
  }
  expect(ran.some(batch => batch > 0 && batch < 9)).toBe(true);
});

test('behind something that is not an instance it is an error that says so', async () => {
  const model = compile(denseModel(resBatchNorm()));
  // The function, in place of what it returns.
  const callbacks = [tfl.callbacks.earlyStopping, new UpdateOpsCheck()];
  await expect(fit(model, callbacks as unknown as tfl.Callback[])).rejects.toThrow(
    'callbacks[0] must be a callback: an instance, or a plain object with onTrainBegin, ',
  );
});

test('a model without batch norm is an error before the first step', async () => {
  const model = compile(denseModel());
  const {numTensors} = tf.memory();
  await expect(fit(model, new UpdateOpsCheck())).rejects.toThrow(
    'must have a batch-norm layer',
  );
  expect(tf.memory().numTensors).toBe(numTensors);
});

test('several trainings add up in the report until it is reset', async () => {
  const layers: Layer[] = [resBatchNorm({name: 'a'}), resBatchNorm({name: 'b'})];
  const check = new UpdateOpsCheck();
  for (const layer of layers) await fit(compile(denseModel(layer)), check);
  await fit(compile(denseModel(layers[0])), check);
  expect(check.report()).toMatchObject([
    {layer: 'a', steps: 6, updates: 6},
    {layer: 'b', steps: 3, updates: 3},
  ]);
  check.reset();
  expect(check.report()).toEqual([]);
});

test.each([
  [
    {onViolation: 'ignore'},
    `argument 'onViolation' must be 'throw', 'warn' or a function. Received: "ignore"`,
  ],
  [
    {onViolation: 3},
    `argument 'onViolation' must be 'throw', 'warn' or a function. Received: 3`,
  ],
  [
    {onViolation: null},
    `argument 'onViolation' must be 'throw', 'warn' or a function. Received: null`,
  ],
  [
    {onviolation: 'warn'},
    `the arguments are 'onViolation', 'mayBeSkipped'. Received: "onviolation"`,
  ],
  [
    'warn',
    `the arguments must be an object with any of 'onViolation', 'mayBeSkipped'. Received: "warn"`,
  ],
  [
    null,
    `the arguments must be an object with any of 'onViolation', 'mayBeSkipped'. Received: null`,
  ],
  [
    {mayBeSkipped: 'bn'},
    `argument 'mayBeSkipped' must be an array of names of layers, or a function that is given a path. Received: "bn"`,
  ],
  [
    {mayBeSkipped: [1]},
    `argument 'mayBeSkipped' must be an array of names of layers, or a function that is given a path. Received: [1]`,
  ],
])('arguments %j are an error', (args, message) => {
  const make = () => new UpdateOpsCheck(args as UpdateOpsCheckArgs);
  expect(make).toThrow(expect.objectContaining({name: 'ValueError'}));
  expect(make).toThrow(`UpdateOpsCheck: ${message}`);
});

test('a layer that goes on in another model is frozen as that one says', async () => {
  const base = encoder('base', builtIn({name: 'bn'}));
  const check = new UpdateOpsCheck();
  await fit(compile(denseModel(base)), check);
  const outer = encoder('outer', base);
  const model = denseModel(outer);
  outer.trainable = false;
  const error = await errorOf(fit(compile(model), check));
  expect(error.violations).toMatchObject([
    {layer: 'outer/base/bn', reason: 'frozen but updated'},
  ]);
});

describe('the summary', () => {
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
      const {result, updateOps} = collectUpdateOps(() =>
        model.apply(xs, {training: true}),
      );
      tf.dispose(result as tf.Tensor);
      updateOps.dispose();
    });
    expect(check.summary()).toBe(
      '1 layer, 2 steps, 1 update run, 1 skipped as non-finite',
    );
  });
});
