import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {bn, expectAllFolded, sequential} from '../../test/folding.js';
import {ResBatchNorm} from '../index.js';
import {foldBatchNorm} from './fold.js';

const {layers} = tfl;
type Layer = tfl.layers.Layer;

const builtIn = () => layers.batchNormalization({name: 'bn', epsilon: 1e-2});

type Extra = {
  name: string;
  useBias?: boolean;
  padding?: 'same' | 'valid';
  dataFormat?: 'channelsFirst' | 'channelsLast';
  inputShape?: number[];
};

declare const backendUnderTest: string;

/** Each layer that takes in a batch norm, and an input for it, channels last. */
const targets: Record<string, [shape: number[], make: (extra: Extra) => Layer]> = {
  dense: [[4], extra => layers.dense({units: 3, ...extra})],
  'dense over a sequence': [[5, 4], extra => layers.dense({units: 3, ...extra})],
  conv1d: [[7, 2], extra => layers.conv1d({filters: 3, kernelSize: 3, ...extra})],
  'conv1d, dilated': [
    [7, 2],
    extra => layers.conv1d({filters: 3, kernelSize: 2, dilationRate: 2, ...extra}),
  ],
  conv2d: [
    [7, 6, 2],
    extra => layers.conv2d({filters: 3, kernelSize: [3, 2], strides: 2, ...extra}),
  ],
  conv3d: [
    [4, 5, 4, 2],
    extra => layers.conv3d({filters: 3, kernelSize: 2, ...extra}) as Layer,
  ],
  conv2dTranspose: [
    [4, 3, 2],
    extra => layers.conv2dTranspose({filters: 3, kernelSize: 3, strides: 2, ...extra}),
  ],
  conv3dTranspose: [
    [3, 2, 3, 2],
    extra => layers.conv3dTranspose({filters: 3, kernelSize: 2, ...extra}) as Layer,
  ],
  depthwiseConv2d: [
    [6, 5, 3],
    extra => layers.depthwiseConv2d({kernelSize: 3, depthMultiplier: 2, ...extra}),
  ],
  separableConv2d: [
    [6, 5, 3],
    extra =>
      layers.separableConv2d({filters: 4, kernelSize: 3, depthMultiplier: 2, ...extra}),
  ],
};

// Of the backends, wasm adds its output to memory that it has not cleared, and webgpu can't
// add a bias of rank 5.
if (backendUnderTest !== 'cpu') delete targets.conv3dTranspose;

const isTransposed = (name: string) => name.endsWith('Transpose');
const all = Object.entries(targets);
/** Those that take in a batch norm before them, too. */
const others = all.filter(([name]) => !isTransposed(name));
const convolutions = all.filter(([name]) => !name.startsWith('dense'));
/** Those of a rank that the built-in has. */
const upToRank4 = all.filter(([, [shape]]) => shape.length < 4);

describe.each(all)('%s', (_, [inputShape, make]) => {
  test.each([true, false])('takes in the one after it; useBias %p', async useBias => {
    const target = make({name: 'target', useBias, inputShape});
    const {model, folded} = await expectAllFolded(sequential(target, bn()));
    expect(folded).toEqual([{layer: 'bn', into: 'target'}]);
    expect(model.layers.map(({name}) => name)).toEqual(['target']);
  });

  test.each(['relu', 'tanh', 'softmax'] as const)(
    "takes over the batch norm's activation, %s",
    async activation => {
      const target = make({name: 'target', inputShape});
      await expectAllFolded(sequential(target, bn({activation})));
    },
  );

  test('takes in two in a row after it', async () => {
    const norms = [bn({name: 'bn_3', center: false}), bn({name: 'bn_4'})];
    await expectAllFolded(sequential(make({name: 'target', inputShape}), ...norms));
  });
});

test.each(upToRank4)('%s takes in a built-in one', async (_, [inputShape, make]) => {
  await expectAllFolded(sequential(make({name: 'target', inputShape}), builtIn()));
});

describe.each(others)('%s', (_, [inputShape, make]) => {
  test.each([true, false])('takes in the one before it; useBias %p', async useBias => {
    const target = make({name: 'target', useBias});
    await expectAllFolded(sequential(bn({inputShape}), target));
  });

  test('takes in one before it and one after it', async () => {
    const last = bn({name: 'last', activation: 'relu'});
    await expectAllFolded(sequential(bn({inputShape}), make({name: 'target'}), last));
  });

  test('takes in two in a row before it', async () => {
    const norms = [bn({inputShape}), bn({name: 'bn_2', scale: false})];
    await expectAllFolded(sequential(...norms, make({name: 'target'})));
  });
});

describe.each(convolutions)('%s with padding', (_, [inputShape, make]) => {
  const padded = {name: 'target', padding: 'same'} as const;

  test('takes in the one after it', async () => {
    await expectAllFolded(sequential(make({...padded, inputShape}), bn()));
  });

  test('takes in the one before it if its shift is 0', async () => {
    const model = sequential(bn({inputShape}), make(padded));
    const {kept} = await foldBatchNorm(model);
    expect(kept).toEqual([
      {
        layer: 'bn',
        reason:
          "nothing in its model comes before it; 'target' adds up zeros at the borders, " +
          'which it would not shift',
      },
    ]);
    for (const weight of model.layers[0].weights) {
      if (/beta|moving_mean/.test(weight.originalName)) {
        weight.write(tf.zerosLike(weight.read()));
      }
    }
    await expectAllFolded(model);
  });
});

test('a transposed convolution adds up zeros at the borders without padding, too', async () => {
  const [inputShape, make] = targets.conv2dTranspose;
  const model = sequential(bn({inputShape}), make({name: 'target', padding: 'valid'}));
  const {kept} = await foldBatchNorm(model);
  expect(kept[0].reason).toContain("'target' adds up zeros at the borders");
});

describe('channels first', () => {
  test.each([
    'conv1d',
    'conv2d',
    'conv2dTranspose',
    'separableConv2d',
    'depthwiseConv2d',
  ])('%s', async name => {
    const [shape, make] = targets[name];
    const inputShape = [shape.at(-1)!, ...shape.slice(0, -1)];
    const extra = {name: 'target', inputShape, dataFormat: 'channelsFirst'} as const;
    const model = sequential(make({...extra, useBias: false}), bn({axis: 1}));
    if (name === 'conv1d' || name === 'separableConv2d') {
      const {kept, model: copy} = await foldBatchNorm(model);
      expect(kept[0].reason).toMatch(
        /^'target' has its channels first, and to a \w+ of that kind tfjs-layers adds a bias/,
      );
      expect(copy.layers).toHaveLength(2);
    } else {
      await expectAllFolded(model);
    }
  });

  test('an axis that is not that of the channels', async () => {
    const conv = layers.conv2d({
      filters: 3,
      kernelSize: 2,
      inputShape: [4, 4, 2],
      name: 'c',
    });
    const model = sequential(conv, bn({axis: 1}));
    const {kept} = await foldBatchNorm(model);
    expect(kept).toEqual([
      {
        layer: 'bn',
        reason:
          "its axis is 1, and that of the channels of 'c' is 3; its output is one of its model",
      },
    ]);
  });
});

test('a pointwise convolution pads no zeros, so it takes in the one before it', async () => {
  const conv = layers.conv2d({filters: 3, kernelSize: 1, padding: 'same', strides: 2});
  await expectAllFolded(sequential(bn({inputShape: [4, 4, 2]}), conv));
});

test('a kernel constraint does not undo it', async () => {
  const dense = layers.dense({
    units: 3,
    inputShape: [4],
    kernelConstraint: tfl.constraints.maxNorm({maxValue: 0.1}),
    biasConstraint: 'nonNeg',
  });
  await expectAllFolded(sequential(dense, bn()));
});

test('renorm and cumulative statistics fold as well', async () => {
  for (const args of [{renorm: true}, {momentum: null}, {zeroDebiasMovingMean: true}]) {
    const dense = layers.dense({units: 3, inputShape: [4]});
    await expectAllFolded(sequential(dense, bn(args)));
  }
});

test('a subclass folds, unless it has a call of its own', async () => {
  class Renamed extends ResBatchNorm {
    static override readonly className = 'Renamed' as 'ResBatchNorm';
  }
  class Doubled extends ResBatchNorm {
    static override readonly className = 'Doubled' as 'ResBatchNorm';

    override call(x: tf.Tensor, kwargs: object) {
      return tf.mul(super.call(x, kwargs), 2);
    }
  }
  for (const own of [Renamed, Doubled]) tf.serialization.registerClass(own);
  const dense = () => layers.dense({units: 3, inputShape: [4]});
  await expectAllFolded(sequential(dense(), new Renamed()));
  const {kept} = await foldBatchNorm(sequential(dense(), new Doubled({name: 'bn'})));
  const reason = 'its class, Doubled, computes something of its own';
  expect(kept).toEqual([{layer: 'bn', reason}]);
});
