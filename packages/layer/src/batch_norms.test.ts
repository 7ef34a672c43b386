import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {functional, Holder, NormCell, on} from '../test/models.js';
import {
  batchNorms,
  frozenHolder,
  innerLayers,
  isBuiltInBatchNorm,
  isCalledOtherwise,
  isResBatchNorm,
  isTrained,
  RES_BATCH_NORM,
  SEQUENTIAL,
  setWeightsByName,
  weightsByName,
  type Layer,
} from './batch_norms.js';
import {ResBatchNorm, resBatchNorm} from './index.js';

type MakeNorm = (args?: {name?: string; trainable?: boolean}) => Layer;

class OwnNorm extends ResBatchNorm {
  static override readonly className = 'OwnNorm' as 'ResBatchNorm';
}
/** The built-in class, which tfjs-layers does not export. */
const BuiltIn = tfl.layers.batchNormalization({name: 'any'}).constructor as new (
  args?: object,
) => Layer;
class OwnBuiltIn extends BuiltIn {
  static className = 'OwnBuiltIn';
}

const kinds: [string, MakeNorm][] = [
  ['ResBatchNorm', resBatchNorm],
  ['tf.layers.batchNormalization', args => tfl.layers.batchNormalization(args)],
  ['a subclass of ResBatchNorm', args => new OwnNorm(args)],
  ['a subclass of the built-in', args => new OwnBuiltIn(args)],
];

const dense = () => tfl.layers.dense({units: 4, inputShape: [4]});
const chain = (name: string, ...layers: Layer[]) =>
  tfl.sequential({name, layers: [dense(), ...layers]});
const paths = (model: Layer) => batchNorms(model).flatMap(norm => norm.paths);
const trains = (model: Layer) => batchNorms(model).map(isTrained);

describe.each(kinds)('%s is found', (_kind, norm) => {
  test('in a model, in the order of its layers', () => {
    expect(paths(chain('m', norm({name: 'a'}), norm({name: 'b'})))).toEqual(['a', 'b']);
  });

  test('in nested models, by its path', () => {
    const inner = chain('inner', norm({name: 'deep'}));
    const outer = chain('outer', norm({name: 'first'}), inner);
    expect(paths(chain('m', outer))).toEqual(['outer/first', 'outer/inner/deep']);
  });

  test('in TimeDistributed, around it or around a model with it', () => {
    const layer = norm({name: 'bn'});
    const inner = functional([4], x => on(norm({name: 'deep'}), x));
    const model = functional([5, 4], x =>
      on(
        tfl.layers.timeDistributed({name: 'td', layer: inner}),
        on(tfl.layers.timeDistributed({name: 'steps', layer}), x),
      ),
    );
    expect(paths(model)).toEqual(['steps/bn', `td/${inner.name}/deep`]);
  });

  test('in the cell of an RNN, alone and stacked', () => {
    const cells = [new NormCell(norm({name: 'a'})), new NormCell(norm({name: 'b'}))];
    const rnn = tfl.layers.rnn({name: 'rnn', cell: new NormCell(norm({name: 'bn'}))});
    const stacked = tfl.layers.rnn({
      name: 'rnns',
      cell: tfl.layers.stackedRNNCells({name: 'stack', cells}),
    });
    expect([paths(rnn), paths(stacked)]).toEqual([
      ['cell/bn'],
      ['stack/cell/a', 'stack/cell/b'],
    ]);
  });

  test('in both directions of a Bidirectional, and not in their pattern', () => {
    const rnn = (name: string) => ({cell: {norm: norm({name})}});
    const both = tfl.layers.bidirectional({
      name: 'both',
      mergeMode: 'concat',
      layer: tfl.layers.simpleRNN({units: 2, recurrentInitializer: 'zeros'}) as tfl.RNN,
    }) as unknown as Record<string, {cell: {norm?: Layer}}>;
    for (const part of ['layer', 'forwardLayer', 'backwardLayer']) {
      both[part].cell.norm = rnn(part).cell.norm;
    }
    const names = batchNorms(both as unknown as Layer).map(({layer}) => layer.name);
    expect(names).toEqual(['forwardLayer', 'backwardLayer']);
  });

  test.each<[string, (a: Layer, b: Layer) => unknown]>([
    ['an array', (a, b) => [a, b]],
    ['arrays of arrays', (a, b) => [[a], [[b]]]],
    ['a plain object', (a, b) => ({a, deeper: {b}})],
    [
      'an object without a prototype',
      (a, b) => Object.assign(Object.create(null), {a, b}),
    ],
    ['a map', (a, b) => new Map([['a', [a]] as const, ['b', [b]] as const])],
    ['a set', (a, b) => new Set([a, b])],
    ['another layer of theirs', (a, b) => [a, new Holder(b, 'inner')]],
  ])("in %s of a user's layer", (_where, hold) => {
    const model = chain('m', new Holder(hold(norm({name: 'a'}), norm({name: 'b'}))));
    const names = batchNorms(model).map(({layer}) => layer.name);
    expect(names).toEqual(['a', 'b']);
    expect(paths(model)[0]).toBe('holder/a');
  });

  test('in layers that refer to each other and to their model', () => {
    const held: unknown[] = [norm({name: 'bn'})];
    const holder = new Holder(held);
    const other = new Holder([holder], 'other');
    const model = chain('m', holder, other);
    held.push(model, other, held, holder);
    expect(batchNorms(model)).toHaveLength(1);
    expect(paths(model)).toEqual(['holder/bn', 'other/holder/bn']);
  });

  test('once, with all its paths, if it is shared', () => {
    const shared = norm({name: 'shared'});
    const input = tfl.input({shape: [4]});
    const inner = functional([4], x => on(shared, x));
    const output = on(inner, on(shared, on(shared, input)));
    const model = tfl.model({inputs: input, outputs: output});
    expect(paths(model)).toEqual(['shared', `${inner.name}/shared`]);
    expect(batchNorms(model)).toHaveLength(1);
  });

  test('in the model that a Sequential makes for itself, by its path in the Sequential', () => {
    const inner = functional([4], x => on(norm({name: 'bn'}), x));
    const sequential = tfl.sequential({layers: [inner, dense()]});
    sequential.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    const {model} = sequential as unknown as {model: tfl.LayersModel};
    expect(paths(model)).toEqual([`${inner.name}/bn`]);
  });
});

test('each kind is told from the other, also in a second copy of the classes', () => {
  const told = kinds.map(([, norm]) => [
    isResBatchNorm(norm()),
    isBuiltInBatchNorm(norm()),
  ]);
  const [res, builtIn] = [
    [true, false],
    [false, true],
  ];
  expect(told).toEqual([res, builtIn, res, builtIn]);
  const other = Object.assign(Object.create(tfl.layers.Layer.prototype), {
    [Symbol.for('@resbatchnorm/layer/ResBatchNorm')]: true,
  });
  expect(isResBatchNorm(other)).toBe(true);
  expect([dense(), new Holder(null)].some(isResBatchNorm)).toBe(false);
});

describe.each(kinds)('%s trains', (_kind, norm) => {
  test('unless it is frozen, before or after it is built', () => {
    const layer = norm();
    const model = chain('m', norm({trainable: false}), layer, norm());
    layer.trainable = false;
    expect(trains(model)).toEqual([false, false, true]);
  });

  test('unless its model, or one around that, is frozen', () => {
    const inner = chain('inner', norm());
    const middle = chain('middle', inner);
    const model = chain('m', norm(), middle);
    middle.trainable = false;
    expect(trains(model)).toEqual([true, false]);
    expect(frozenHolder(batchNorms(model)[1])).toBe(middle);
    middle.trainable = true;
    expect(trains(model)).toEqual([true, true]);
    expect(frozenHolder(batchNorms(model)[1])).toBeUndefined();
    model.trainable = false;
    expect(trains(model)).toEqual([false, false]);
  });

  test('unless its wrapper, RNN or holder is frozen', () => {
    const models = [
      tfl.layers.timeDistributed({layer: norm()}),
      tfl.layers.rnn({cell: new NormCell(norm())}),
      new Holder({deep: [norm()]}),
    ];
    for (const model of models) {
      expect(trains(model)).toEqual([true]);
      model.trainable = false;
      expect(trains(model)).toEqual([false]);
      model.trainable = true;
      expect(trains(model)).toEqual([true]);
    }
  });
});

test('a built-in that is shared trains if one use of it does', () => {
  const shared = tfl.layers.batchNormalization({name: 'shared'});
  const middle = chain('middle', chain('inner', shared));
  const input = tfl.input({shape: [4]});
  const once = on(middle, input);
  const alone = tfl.model({inputs: input, outputs: once});
  const both = tfl.model({inputs: input, outputs: on(shared, once)});
  middle.trainable = false;
  expect(trains(alone)).toEqual([false]);
  expect(trains(both)).toEqual([true]);
});

test('a built-in of which one use alone is in something frozen has no frozen holder', () => {
  const shared = tfl.layers.batchNormalization({name: 'shared'});
  const [a, b] = [chain('a', shared), chain('b', shared)];
  const model = tfl.sequential({layers: [a, b]});
  const holder = () => frozenHolder(batchNorms(model)[0]);
  a.trainable = false;
  expect(holder()).toBeUndefined();
  b.trainable = false;
  expect(holder()).toBe(a);
});

test('a built-in trains if gamma or beta does, and where it has neither, by its statistics', () => {
  const layer = tfl.layers.batchNormalization();
  const model = chain('m', layer);
  const [gamma, beta] = layer.weights;
  beta.trainable = false;
  expect(trains(model)).toEqual([true]);
  [gamma.trainable, beta.trainable] = [false, true];
  expect(trains(model)).toEqual([true]);
  beta.trainable = false;
  expect(trains(model)).toEqual([false]);
  const plain = chain('m', tfl.layers.batchNormalization({scale: false, center: false}));
  expect(trains(plain)).toEqual([true]);
});

test('a ResBatchNorm that is thawed in something frozen trains', () => {
  const layer = resBatchNorm();
  const model = chain('m', layer);
  model.trainable = false;
  layer.trainable = true;
  expect(trains(model)).toEqual([true]);
});

describe('a subclass computes something of its own', () => {
  class Named extends ResBatchNorm {
    static override readonly className = 'Named' as 'ResBatchNorm';
  }
  class WithCall extends ResBatchNorm {
    override call(x: tf.Tensor) {
      return x;
    }
  }
  class WithApply extends Named {
    override apply(x: never) {
      return x;
    }
  }
  class BuiltInWithCall extends BuiltIn {
    override call(x: tf.Tensor) {
      return x;
    }
  }
  class Below extends WithCall {}

  test.each([WithCall, WithApply, BuiltInWithCall, Below])('%p does', Class => {
    expect(isCalledOtherwise(new Class())).toBe(true);
  });

  test.each([ResBatchNorm, BuiltIn, Named, OwnBuiltIn])('%p does not', Class => {
    expect(isCalledOtherwise(new Class({}))).toBe(false);
  });
});

describe("the layers inside of a layer of the user's own", () => {
  const norm = resBatchNorm();

  test('are all that it holds, also beside a property named layers', () => {
    const block = Object.assign(new Holder(norm), {layers: [dense(), [dense()]]});
    expect(innerLayers(block)).toHaveLength(3);
    expect(innerLayers(block)).toContain(norm);
  });

  test('are not what it holds of other kinds', () => {
    const initializer = tfl.initializers.zeros();
    const withoutConstructor = Object.create(Object.create(null));
    const others = [null, initializer, {call() {}}, withoutConstructor, new Date(0)];
    expect(innerLayers(new Holder([...others, norm]))).toEqual([norm]);
  });
});

test('weights are read and set by their names in the layer', async () => {
  const layer = resBatchNorm({name: 'bn'});
  layer.build([null, 2]);
  expect(Object.keys(weightsByName(layer))).toEqual([
    'gamma',
    'beta',
    'moving_mean',
    'moving_variance',
  ]);
  const beta = tf.tensor1d([3, 4]);
  const before = tf.memory().numTensors;
  setWeightsByName(layer, {beta, other: beta});
  expect(tf.memory().numTensors).toBe(before);
  await expect(weightsByName(layer).beta).toBeAllclose(beta);
  await expect(weightsByName(layer).gamma).toBeAllclose([1, 1]);
});

test('copies of any version of this package know each other by these names', () => {
  expect([RES_BATCH_NORM, SEQUENTIAL]).toEqual([
    Symbol.for('@resbatchnorm/layer/ResBatchNorm'),
    Symbol.for('@resbatchnorm/layer/sequential'),
  ]);
});
