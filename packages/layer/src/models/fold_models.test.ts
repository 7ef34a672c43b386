/** foldBatchNorm over the graphs of models: what is folded, and why what stays does. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {bn, expectAllFolded, sequential} from '../../test/folding.js';
import {expectSamePredictions, functional, on, setWeights} from '../../test/models.js';
import {foldBatchNorm} from './fold.js';

const {layers} = tfl;

const conv = (name: string, padding: 'same' | 'valid' = 'same') =>
  layers.conv2d({filters: 2, kernelSize: 3, padding, useBias: false, name});

test('a residual network: the shortcut and its activation stay', async () => {
  const model = functional([6, 6, 2], input => {
    const x = on(bn({name: 'bn_0', activation: 'relu'}), on(conv('conv_0'), input));
    const y = on(bn({name: 'bn_1', activation: 'relu'}), on(conv('conv_1'), x));
    const z = on(bn({name: 'bn_2', activation: 'relu'}), on(conv('conv_2'), y), x);
    return on(bn({name: 'bn_3'}), on(conv('conv_3'), z), z);
  });
  setWeights(model);
  const {model: folded} = await expectAllFolded(model);
  expect(folded.layers.slice(1).map(({name}) => name)).toEqual([
    'conv_0',
    'conv_1',
    'conv_2',
    'bn_2_add',
    'bn_2',
    'conv_3',
    'bn_3',
  ]);
});

test('nested ones, and one that is time-distributed', async () => {
  const encoder = tfl.sequential({
    layers: [
      layers.dense({units: 3, inputShape: [4], name: 'dense'}),
      bn({name: 'inner', activation: 'relu'}),
    ],
  });
  const model = functional([2, 4], x =>
    on(
      bn(),
      on(
        layers.dense({units: 2, name: 'd'}),
        on(layers.timeDistributed({layer: encoder}), x),
      ),
    ),
  );
  setWeights(model);
  const {folded} = await expectAllFolded(model);
  expect(folded).toEqual([
    {layer: 'inner', into: 'dense'},
    {layer: 'bn', into: 'd'},
  ]);
});

/** A model in which one batch norm must stay. */
async function reasonFor(
  body: (x: tfl.SymbolicTensor) => tfl.SymbolicTensor | tfl.SymbolicTensor[],
) {
  const input = tfl.input({shape: [5, 5, 2], name: 'in'});
  const model = tfl.model({inputs: input, outputs: body(input)});
  setWeights(model);
  const {model: copy, folded, kept} = await foldBatchNorm(model);
  await expectSamePredictions(copy, model);
  expect(folded).toEqual([]);
  expect(kept).toHaveLength(1);
  expect(kept[0].layer).toBe('bn');
  return kept[0].reason;
}
const end = 'its output is one of its model';

test('an activation between', async () => {
  const convRelu = layers.conv2d({
    filters: 2,
    kernelSize: 2,
    activation: 'relu',
    name: 'c',
  });
  expect(await reasonFor(x => on(bn(), on(convRelu, x)))).toBe(
    `the activation of 'c', relu, comes before it; ${end}`,
  );
  const after = (x: tfl.SymbolicTensor) => on(conv('c'), on(bn({activation: 'elu'}), x));
  expect(await reasonFor(after)).toBe(
    "nothing in its model comes before it; its activation, elu, comes before 'c'",
  );
  const layer = layers.activation({activation: 'relu', name: 'relu'});
  expect(await reasonFor(x => on(bn(), on(layer, on(conv('c'), x))))).toBe(
    "the layer before it, 'relu' of class Activation, is neither a convolution nor a dense " +
      `layer; ${end}`,
  );
});

test('a shared layer', async () => {
  const c = conv('c');
  expect(await reasonFor(x => on(bn(), on(c, on(c, x))))).toBe(
    `'c' is shared: it is used 2 times; ${end}`,
  );
  const norm = bn();
  expect(await reasonFor(x => on(norm, on(conv('c'), on(norm, x))))).toBe(
    "'bn' is shared: it is used 2 times",
  );
  const encoder = functional([5, 5, 2], x => on(c, x));
  expect(await reasonFor(x => on(bn(), on(c, on(encoder, x))))).toBe(
    `'c' is shared: it is used 2 times; ${end}`,
  );
});

test('an output that is used elsewhere', async () => {
  const twice = (x: tfl.SymbolicTensor) => {
    const y = on(conv('c'), x);
    return on(layers.add(), on(bn(), y), y);
  };
  expect(await reasonFor(twice)).toContain("the output of 'c' is used elsewhere, too; ");
  const outputs = (x: tfl.SymbolicTensor) => {
    const y = on(conv('c'), x);
    return [y, on(bn(), y)];
  };
  expect(await reasonFor(outputs)).toContain(
    "the output of 'c' is used elsewhere, too; ",
  );
  const self = (x: tfl.SymbolicTensor) => {
    const y = on(conv('c'), x);
    return on(bn(), y, y);
  };
  expect(await reasonFor(self)).toContain("the output of 'c' is used elsewhere, too; ");
  const after = (x: tfl.SymbolicTensor) => {
    const y = on(bn(), x);
    return on(layers.add(), on(conv('c'), y), y);
  };
  expect(await reasonFor(after)).toContain('; its output is used by several layers');
});

test('no moving statistics', async () => {
  const untracked = bn({trackMovingStatistics: false});
  expect(await reasonFor(x => on(untracked, on(conv('c'), x)))).toBe(
    'it has no moving statistics',
  );
});

test('a wrapper', async () => {
  const td = layers.timeDistributed({layer: bn(), name: 'td'});
  expect(await reasonFor(x => on(td, on(conv('c'), x)))).toBe("it is in the layer 'td'");
});

test('a shortcut before the next layer', async () => {
  expect(await reasonFor(x => on(conv('c', 'valid'), on(bn(), x, x)))).toBe(
    "nothing in its model comes before it; a shortcut is added before 'c'",
  );
});
test('the model given keeps its weights, and nothing leaks', async () => {
  const make = () =>
    sequential(
      layers.conv2d({filters: 3, kernelSize: 3, inputShape: [5, 5, 2], useBias: false}),
      bn(),
      bn({name: 'second', axis: 1}),
      layers.conv2d({filters: 3, kernelSize: 3, padding: 'same'}),
    );
  const [model, reference] = [make(), make()];
  const before = tf.memory().numTensors;
  const {model: folded} = await foldBatchNorm(model);
  // The norm that is kept counts its skipped updates, in a tensor that is no weight.
  expect(tf.memory().numTensors - before).toBe(folded.weights.length + 1);
  folded.dispose();
  expect(tf.memory().numTensors).toBe(before);
  await expectSamePredictions(model, reference, {rtol: 0, atol: 0});
});

test('what is no model', async () => {
  await expect(foldBatchNorm(undefined as never)).rejects.toThrow(
    'foldBatchNorm: model must be a LayersModel',
  );
});
