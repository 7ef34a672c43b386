/** UpdateOpsCheck of gamma and beta: they are trained where the moving statistics follow. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {collectingCheck} from '../../test/collecting_check';
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
  makeDataset,
  resBatchNorm,
} from '../../test/models';
import type {Batch, Layer} from '../../test/models';
import {UpdateOpsCheck} from '..';

let batch: Batch;
let optimizer: tf.Optimizer;

beforeEach(() => {
  batch = makeBatch();
  optimizer = tf.train.sgd(0.01);
  // tfjs-layers says that what is trainable has changed since the model was compiled.
  jest.spyOn(console, 'warn').mockImplementation(() => {});
});

afterEach(() => {
  tf.dispose([batch.xs, batch.ys]);
  optimizer.dispose();
  jest.restoreAllMocks();
});

/** A model, and what is around a batch norm in it, from the inside outwards. */
interface Nest {
  model: tfl.LayersModel;
  around: Layer[];
}

/** Dense layers behind a model: `fit` takes a Sequential's first one apart. */
function modelFirst(inner: tfl.LayersModel): tfl.LayersModel {
  return tfl.sequential({layers: [inner, tfl.layers.dense({units: 1})]});
}

/** [batch, 3] → [batch, 3]. */
function firstEncoder(name: string, ...inner: Layer[]): tfl.LayersModel {
  const input = tfl.input({shape: [3]});
  const output = inner.reduce((x, layer) => layer.apply(x) as tfl.SymbolicTensor, input);
  return tfl.model({inputs: input, outputs: output, name});
}

/** Normalizes each of 4 time steps of one value. */
function inTimeDistributed(layer: Layer): Layer[] {
  return [
    tfl.layers.reshape({targetShape: [4, 1]}),
    tfl.layers.timeDistributed({layer, name: 'steps'}),
    tfl.layers.reshape({targetShape: [4]}),
  ];
}

const nests: [string, (norm: Layer) => Nest][] = [
  [
    'in two models',
    norm => {
      const inner = encoder('inner', norm);
      const outer = encoder('outer', inner);
      return {model: denseModel(outer), around: [inner, outer]};
    },
  ],
  [
    'in a wrapper',
    norm => {
      const inner = encoder('inner', ...inTimeDistributed(norm));
      return {model: denseModel(inner), around: [inner]};
    },
  ],
  [
    "in a layer of the user's own",
    norm => {
      const block = new Block([norm]);
      return {model: denseModel(block), around: [block]};
    },
  ],
  [
    "in a Sequential's first model",
    norm => {
      const inner = firstEncoder('inner', norm);
      const outer = firstEncoder('outer', inner);
      return {model: modelFirst(outer), around: [inner, outer]};
    },
  ],
];

function fit(model: tfl.LayersModel, check: UpdateOpsCheck, epochs = 1) {
  return model.fit(batch.xs, batch.ys, {epochs, verbose: 0, callbacks: check});
}

/** One step of a loop that trains all variables, whatever is frozen around them. */
function minimize(model: tfl.LayersModel, training = true): void {
  optimizer.minimize(() => lossOf(model, batch, training));
}

function outermost({around}: Nest): Layer {
  return around.at(-1)!;
}

describe.each(nests)('a norm %s', (_name, nest) => {
  describe.each(kinds)('%s', (_className, makeNorm) => {
    test('passes, if it is trained in fit and in a loop', async () => {
      const {model} = nest(makeNorm({name: 'bn'}));
      const {check, violations} = collectingCheck();
      await fit(compile(model), check, 2);
      check.step(model, () => minimize(model));
      expect(violations).toEqual([]);
      expect(check.report()).toMatchObject([{frozen: false, steps: 3}]);
    });

    test('is to be compiled again, if it was thawed after that', async () => {
      const layer = makeNorm({name: 'bn'});
      const {model} = nest(layer);
      layer.trainable = false;
      compile(model);
      layer.trainable = true;
      await expect(fit(model, new UpdateOpsCheck())).rejects.toThrow(
        'thawed after compile: its moving statistics were updated, and gamma and beta not ' +
          'trained: it was frozen when the model was compiled. Call model.compile() again',
      );
      const {check, violations} = collectingCheck();
      await fit(compile(model), check);
      expect(violations).toEqual([]);
    });

    test('is reported, if it is trained in inference mode', () => {
      const {model} = nest(makeNorm({name: 'bn'}));
      const act = () => new UpdateOpsCheck().step(model, () => minimize(model, false));
      expect(act).toThrow(
        'trained in inference mode: gamma or beta were trained on batches that were ' +
          'normalized by the moving statistics, which did not follow them. Call the model ' +
          'with {training: true}, or freeze the layer if it is to stay as it is.',
      );
    });
  });

  test('the built-in is reported, if a loop trains it inside of what is frozen', () => {
    const made = nest(builtIn({name: 'bn'}));
    outermost(made).trainable = false;
    const {check, violations} = collectingCheck();
    check.step(made.model, () => minimize(made.model, false));
    expect(violations).toMatchObject([
      {
        reason: 'frozen but trained',
        severity: 'error',
        message: expect.stringMatching(
          /^frozen but trained: gamma or beta were written in spite of that\. Freezing a /,
        ),
      },
    ]);
    check.step(made.model, () => minimize(made.model));
    expect(violations.slice(1)).toMatchObject([
      {reason: 'frozen but updated'},
      {reason: 'frozen but trained'},
    ]);
  });

  test('ResBatchNorm passes there, as it is frozen, too', async () => {
    const made = nest(resBatchNorm({name: 'bn'}));
    outermost(made).trainable = false;
    const {check, violations} = collectingCheck();
    await fit(compile(made.model), check);
    check.step(made.model, () => minimize(made.model));
    expect(violations).toEqual([]);
    expect(check.report()).toMatchObject([{frozen: true, steps: 2, updates: 0}]);
  });

  test('a ResBatchNorm that is thawed in what is frozen is a warning, trained or not', async () => {
    const layer = resBatchNorm({name: 'bn'});
    const made = nest(layer);
    outermost(made).trainable = false;
    layer.trainable = true;
    const affine = layer.weights.filter(({trainable}) => trainable);
    const before = affine.map(weight => weight.read().dataId);
    const {check, violations} = collectingCheck();
    await fit(compile(made.model), check, 2);
    const isTrained = affine.every((weight, i) => weight.read().dataId !== before[i]);
    // A model trains what is thawed in it; a layer of the user's own gives no weight away.
    expect(isTrained).toBe(!(outermost(made) instanceof Block));
    expect(violations).toMatchObject([
      {
        reason: 'thawed in a frozen layer',
        severity: 'warning',
        message: expect.stringContaining(
          isTrained ? 'updated, and gamma and beta trained, although' : 'not trained:',
        ),
        when: 'epoch 1, batch 1',
      },
    ]);
  });

  test('so it is in a loop that trains it as a whole', () => {
    const layer = resBatchNorm({name: 'bn'});
    const made = nest(layer);
    outermost(made).trainable = false;
    layer.trainable = true;
    const {check, reasons} = collectingCheck();
    check.step(made.model, () => minimize(made.model));
    check.step(made.model, () => minimize(made.model));
    expect(reasons()).toEqual(['thawed in a frozen layer']);
  });
});

test('a ResBatchNorm that is thawed in a frozen layer is one warning a training', async () => {
  const layer = resBatchNorm({name: 'bn'});
  const block = new Block([layer]);
  const model = denseModel(block);
  block.trainable = false;
  layer.trainable = true;
  const check = new UpdateOpsCheck();
  for (const epochs of [2, 1]) await fit(compile(model), check, epochs);
  expect(console.warn).toHaveBeenCalledTimes(2);
  expect(console.warn).toHaveBeenLastCalledWith(
    'UpdateOpsCheck, epoch 1, batch 1: a warning about 1 batch-norm layer.\n' +
      '  block/bn (ResBatchNorm): thawed in a frozen layer: its moving statistics are ' +
      "updated, and gamma and beta not trained: 'block' around it has trainable = false. " +
      "Set trainable = true on 'block' and then false on what in it is to stay as it is, " +
      'or freeze this layer, too.',
  );
  expect(check.report()).toMatchObject([{frozen: false, steps: 3, violations: 2}]);
});

/** [batch, 3] → [batch, 4], frozen, and then given a ResBatchNorm. */
function addedToFrozen(args: object = {}): tfl.Sequential {
  const base = tfl.sequential({name: 'base'});
  base.add(tfl.layers.dense({units: 4, inputShape: [3]}));
  base.trainable = false;
  base.add(resBatchNorm({name: 'bn', ...args}));
  return base;
}

test.each([
  [{}, ', and gamma and beta trained'],
  [{center: false}, ', and gamma trained'],
  [{center: false, scale: false}, ''],
])(
  'a ResBatchNorm %p that was added to a frozen Sequential is a warning',
  async (args, trained) => {
    const model = compile(modelFirst(addedToFrozen(args)));
    await fit(model, new UpdateOpsCheck(), 2);
    expect(jest.mocked(console.warn).mock.calls).toEqual([
      [
        'UpdateOpsCheck, epoch 1, batch 1: a warning about 1 batch-norm layer.\n' +
          '  base/bn (ResBatchNorm): thawed in a frozen layer: its moving statistics are ' +
          `updated${trained}, although 'base' around it has trainable = false: it was ` +
          'thawed, or added there, after that. If that is meant, nothing need be done; ' +
          "else set trainable = false on 'base' again, once all its layers are added.",
      ],
    ]);
  },
);

test('what that warning says is enough: frozen again, it passes', async () => {
  const base = addedToFrozen();
  base.trainable = false;
  const {check, violations} = collectingCheck();
  await fit(compile(modelFirst(base)), check);
  expect(violations).toEqual([]);
  expect(check.report()).toMatchObject([{frozen: true, updates: 0}]);
});

test('a ResBatchNorm that was added to a model that is frozen as a whole is a warning', () => {
  const base = addedToFrozen();
  base.add(tfl.layers.dense({units: 1}));
  const {check, violations} = collectingCheck();
  check.step(base, () => lossOf(base, batch).dispose());
  expect(violations).toMatchObject([
    {
      layer: 'bn',
      severity: 'warning',
      message: expect.stringMatching(
        /^thawed in a frozen layer: .* gamma and beta not trained: 'base' around it has /,
      ),
    },
  ]);
});

test('a ResBatchNorm that is shared, and thawed, is a warning if one use is frozen', async () => {
  const shared = resBatchNorm({name: 'shared'});
  const inner = firstEncoder('inner', shared);
  const input = tfl.input({shape: [3]});
  const twice = shared.apply(inner.apply(input)) as tfl.SymbolicTensor;
  const outputs = tfl.layers.dense({units: 1}).apply(twice) as tfl.SymbolicTensor;
  const model = tfl.model({inputs: input, outputs});
  inner.trainable = false;
  shared.trainable = true;
  const {check, violations} = collectingCheck();
  await fit(compile(model), check);
  expect(violations).toMatchObject([
    {severity: 'warning', message: expect.stringContaining("although 'inner' around")},
  ]);
});

test('fit trains the built-in in a frozen model that a Sequential takes apart', async () => {
  const [, nest] = nests.at(-1)!;
  const made = nest(builtIn({name: 'bn'}));
  outermost(made).trainable = false;
  const {check, violations} = collectingCheck();
  await fit(compile(made.model), check);
  expect(violations).toMatchObject([
    {layer: 'outer/inner/bn', reason: 'frozen but updated'},
    {layer: 'outer/inner/bn', reason: 'frozen but trained'},
  ]);
});

test("a layer of the user's own that keeps its norm's weights was not thawed", async () => {
  const block = new Block([resBatchNorm({name: 'bn'})]);
  Object.defineProperty(block, 'trainableWeights', {get: () => []});
  const {check, violations} = collectingCheck();
  await fit(compile(denseModel(block)), check);
  expect(violations).toEqual([]);
});

test("a layer of the user's own that calls its norm in inference mode is found in fit", async () => {
  const model = compile(denseModel(new Block([resBatchNorm({name: 'bn'})], 'inference')));
  const {check, violations} = collectingCheck();
  await fit(model, check);
  expect(violations).toMatchObject([
    {layer: 'block/bn', reason: 'trained in inference mode'},
  ]);
});

describe.each(kinds)('%s', (_className, makeNorm) => {
  test('thawed after compile is found in fitDataset, too', async () => {
    const inner = encoder('inner', makeNorm({name: 'bn'}));
    const model = denseModel(inner);
    inner.trainable = false;
    compile(model);
    inner.trainable = true;
    const {check, reasons} = collectingCheck();
    await model.fitDataset(makeDataset(2), {epochs: 1, verbose: 0, callbacks: check});
    expect(reasons()).toEqual(['thawed after compile', 'thawed after compile']);
  });

  test('thawed after compile is found in the step after that', async () => {
    const layer = makeNorm({name: 'bn'});
    const model = denseModel(layer);
    layer.trainable = false;
    compile(model);
    class Thaw extends tfl.Callback {
      override async onEpochBegin(epoch: number): Promise<void> {
        layer.trainable = epoch > 0;
      }
    }
    const found: string[] = [];
    const check = new UpdateOpsCheck({
      onViolation: violations =>
        violations.forEach(({reason, when}) => found.push(`${when}: ${reason}`)),
    });
    await model.fit(batch.xs, batch.ys, {
      epochs: 2,
      verbose: 0,
      callbacks: [new Thaw(), check],
    });
    expect(found.at(-1)).toBe('epoch 2, batch 1: thawed after compile');
  });

  test('a norm whose gamma and beta are written when it is frozen is reported', () => {
    const layer = makeNorm({name: 'bn', trainable: false});
    const model = denseModel(layer);
    for (const weight of ['gamma', 'beta']) {
      const {check, reasons} = collectingCheck();
      check.step(model, () => fillWeight(layer, weight, 2));
      expect(reasons()).toEqual(['frozen but trained']);
    }
  });

  test('steps that leave gamma and beta for later pass', () => {
    const model = denseModel(makeNorm({name: 'bn'}));
    const {check, violations} = collectingCheck();
    check.step(model, () => lossOf(model, batch).dispose());
    expect(violations).toEqual([]);
  });
});

test('gradients that were computed before a ResBatchNorm was frozen are reported', () => {
  const layer = resBatchNorm({name: 'bn'});
  const model = denseModel(layer);
  const {value, grads} = optimizer.computeGradients(() => lossOf(model, batch));
  layer.trainable = false;
  const act = () => optimizer.applyGradients(grads);
  expect(() => new UpdateOpsCheck().step(model, act)).toThrow(
    'bn (ResBatchNorm): frozen but trained: gamma or beta were written in spite of that, by ' +
      'gradients that were computed before it was frozen, or by setWeights.',
  );
  tf.dispose([value, grads as unknown as tf.TensorContainer]);
});

test('a ResBatchNorm without gamma and beta has its statistics alone to train', async () => {
  const layer = resBatchNorm({name: 'bn', center: false, scale: false} as object);
  const model = denseModel(layer);
  layer.trainable = false;
  compile(model);
  layer.trainable = true;
  const {check, violations} = collectingCheck();
  await fit(model, check);
  expect(violations).toEqual([]);
});

test('a shared built-in of which one use trains counts as trained', async () => {
  const shared = builtIn({name: 'shared'});
  const [input, inner] = [tfl.input({shape: [3]}), firstEncoder('inner', shared)];
  const once = inner.apply(input) as tfl.SymbolicTensor;
  const dense = tfl.layers.dense({units: 1});
  const twice = shared.apply(once) as tfl.SymbolicTensor;
  const outputs = dense.apply(twice) as tfl.SymbolicTensor;
  const model = tfl.model({inputs: input, outputs});
  inner.trainable = false;
  shared.trainable = true;
  const {check, violations} = collectingCheck();
  await fit(compile(model), check);
  expect(violations).toEqual([]);
  expect(check.report()).toMatchObject([{frozen: false, steps: 1, updates: 1}]);
});
