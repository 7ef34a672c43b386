/** Which batch norms of a model the callbacks watch, and which of them count as frozen. */
import {ResBatchNorm} from '@resbatchnorm/layer';
import {isTrained} from '@resbatchnorm/layer/introspection';
import * as tfl from '@tensorflow/tfjs-layers';

import {Block, builtIn, denseModel, encoder, kinds, resBatchNorm} from '../test/models';
import type {Layer} from '../test/models';
import {watchedBatchNorms} from './arguments';

function find(model: tfl.LayersModel) {
  return watchedBatchNorms('test', model);
}

function paths(model: tfl.LayersModel): string[] {
  return find(model).map(({paths}) => paths[0]);
}

function frozen(model: tfl.LayersModel): boolean[] {
  return find(model).map(norm => !isTrained(norm));
}

describe.each(kinds)('%s is found', (_className, norm) => {
  test('in a model, in the order of its layers', () => {
    expect(paths(denseModel(norm({name: 'a'}), norm({name: 'b'})))).toEqual(['a', 'b']);
  });

  test('in nested models, by its path', () => {
    const inner = encoder('inner', norm({name: 'deep'}));
    const outer = encoder('outer', norm({name: 'first'}), inner);
    expect(paths(denseModel(outer))).toEqual(['outer/first', 'outer/inner/deep']);
  });

  test('in TimeDistributed', () => {
    const model = tfl.sequential();
    model.add(
      tfl.layers.timeDistributed({
        name: 'steps',
        layer: norm({name: 'bn'}),
        inputShape: [5, 3],
      }),
    );
    expect(paths(model)).toEqual(['steps/bn']);
  });

  test('in the cells of both directions of a Bidirectional', () => {
    const model = tfl.sequential();
    const recurrent = tfl.layers.bidirectional({
      name: 'both',
      layer: tfl.layers.lstm({
        units: 2,
        // The default one needs the chained ops.
        recurrentInitializer: 'glorotUniform',
      }) as tfl.RNN,
      mergeMode: 'concat',
      inputShape: [5, 3],
    });
    model.add(recurrent);
    // What the two directions were made from holds one too, and never runs.
    (recurrent as unknown as {layer: {cell: {bn: Layer}}}).layer.cell.bn = norm();
    for (const direction of ['forward', 'backward']) {
      const {cell} = (
        recurrent as unknown as Record<string, {cell: Layer & {bn: Layer}}>
      )[`${direction}Layer`];
      cell.bn = norm({name: `bn_${direction}`});
      cell.name = 'cell';
    }
    expect(paths(model).map(path => path.replace(/_lstm.*?\//, '/'))).toEqual([
      'both/forward/cell/bn_forward',
      'both/backward/cell/bn_backward',
    ]);
  });

  test("in a layer of the user's own, one that refers back to its model", () => {
    const block = new Block([norm({name: 'a'}), norm({name: 'b'})]);
    const model = denseModel(block);
    block.outside = model;
    expect(paths(model)).toEqual(['block/a', 'block/b']);
  });

  test('once, if it is shared', () => {
    const shared = norm({name: 'shared'});
    const input = tfl.input({shape: [4]});
    const once = shared.apply(input) as tfl.SymbolicTensor;
    const twice = shared.apply(once) as tfl.SymbolicTensor;
    const inner = encoder('inner', shared);
    const model = tfl.model({
      inputs: input,
      outputs: inner.apply(twice) as tfl.SymbolicTensor,
    });
    expect(paths(model)).toEqual(['shared']);
  });
});

describe.each(kinds)('%s is frozen', (_className, norm) => {
  test('not by default', () => {
    expect(frozen(denseModel(encoder('inner', norm())))).toEqual([false]);
  });

  test('by its own flag, set before or after it is built', () => {
    const layer = norm();
    const model = denseModel(norm({trainable: false}), layer, norm());
    layer.trainable = false;
    expect(frozen(model)).toEqual([true, true, false]);
  });

  test('by its model', () => {
    const model = denseModel(norm());
    model.trainable = false;
    expect(frozen(model)).toEqual([true]);
    model.trainable = true;
    expect(frozen(model)).toEqual([false]);
  });

  test('by a nested model', () => {
    const inner = encoder('inner', norm());
    const model = denseModel(norm(), inner);
    inner.trainable = false;
    expect(frozen(model)).toEqual([false, true]);
  });

  test('by an enclosing model', () => {
    const middle = encoder('middle', encoder('inner', norm()));
    const model = denseModel(norm(), middle);
    middle.trainable = false;
    expect(frozen(model)).toEqual([false, true]);
  });

  test('by a wrapper', () => {
    const layer = norm();
    const wrapper = tfl.layers.timeDistributed({layer, inputShape: [5, 3]});
    const model = tfl.sequential({layers: [wrapper]});
    wrapper.trainable = false;
    expect(frozen(model)).toEqual([true]);
  });
});

test('a built-in layer that is shared is frozen only if it is so in every place', () => {
  const shared = builtIn({name: 'shared'});
  const middle = encoder('middle', encoder('inner', shared));
  const input = tfl.input({shape: [4]});
  const once = middle.apply(input) as tfl.SymbolicTensor;
  const alone = tfl.model({inputs: input, outputs: once});
  const model = tfl.model({
    inputs: input,
    outputs: shared.apply(once) as tfl.SymbolicTensor,
  });
  middle.trainable = false;
  expect(frozen(alone)).toEqual([true]);
  expect(frozen(model)).toEqual([false]);
});

test('a model without a batch-norm layer is an error that says so', () => {
  const model = denseModel();
  expect(() => find(model)).toThrow(
    `test: the model '${model.name}' must have a batch-norm layer with moving statistics ` +
      '(ResBatchNorm or tf.layers.batchNormalization). ' +
      'Received: a model with none among its 2 layers',
  );
});

test('a layer without moving statistics has no update ops to check', () => {
  const tracked = new ResBatchNorm({name: 'tracked', inputShape: [3]});
  const untracked = new ResBatchNorm({trackMovingStatistics: false});
  expect(paths(tfl.sequential({layers: [tracked, untracked]}))).toEqual(['tracked']);
});

test.each([
  [undefined, 'undefined'],
  [{layers: []}, '{"layers":[]}'],
  ['model', '"model"'],
  [resBatchNorm(), 'an instance of ResBatchNorm'],
])('%p in place of a model is an error that says so', (model, received) => {
  expect(() => find(model as unknown as tfl.LayersModel)).toThrow(
    `test: argument 'model' must be a tf.LayersModel. Received: ${received}`,
  );
});
