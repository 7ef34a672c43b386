import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {ResBatchNorm, resBatchNorm, type ResBatchNormArgs} from './index.js';

const wrong: [args: Record<string, unknown>, message: string][] = [
  [
    {axis: 0},
    'axis must be an integer other than 0, which is the axis of the batch. Received: 0',
  ],
  [
    {axis: 1.5},
    'axis must be an integer other than 0, which is the axis of the batch. Received: 1.5',
  ],
  [
    {axis: '3'},
    'axis must be an integer other than 0, which is the axis of the batch. Received: "3"',
  ],
  [
    {axis: [1, 2]},
    'axis must be an integer other than 0, which is the axis of the batch. Received: [1,2]',
  ],
  [
    {momentum: 1.01},
    'momentum must be a number from 0 to 1, the weight of the old value, or null. Received: 1.01',
  ],
  [
    {momentum: -0.1},
    'momentum must be a number from 0 to 1, the weight of the old value, or null. Received: -0.1',
  ],
  [
    {momentum: NaN},
    'momentum must be a number from 0 to 1, the weight of the old value, or null. Received: NaN',
  ],
  [
    {momentum: '0.9'},
    'momentum must be a number from 0 to 1, the weight of the old value, or null. Received: "0.9"',
  ],
  [{epsilon: 0}, 'epsilon must be a number greater than 0. Received: 0'],
  [{epsilon: -1e-3}, 'epsilon must be a number greater than 0. Received: -0.001'],
  [{epsilon: Infinity}, 'epsilon must be a number greater than 0. Received: Infinity'],
  [{center: 1}, 'center must be true or false. Received: 1'],
  [{scale: 'yes'}, 'scale must be true or false. Received: "yes"'],
  [
    {nonFiniteUpdates: 'ignore'},
    "nonFiniteUpdates must be 'skip' or 'propagate'. Received: \"ignore\"",
  ],
  [
    {renormClipping: {rmax: 2, amax: 3}},
    'renormClipping must be an object of rmin, rmax and dmax, none of them negative, or null. Received: {"rmax":2,"amax":3}',
  ],
  [
    {renorm: true, renormClipping: {dmax: -1}},
    'renormClipping must be an object of rmin, rmax and dmax, none of them negative, or null. Received: {"dmax":-1}',
  ],
  [
    {renorm: true, renormClipping: {rmax: 1, rmin: 2}},
    'renormClipping: rmax must not be less than rmin. Received: renormClipping {"rmax":1,"rmin":2}',
  ],
  [
    {renorm: true, renormClipping: 3},
    'renormClipping must be an object of rmin, rmax and dmax, none of them negative, or null. Received: 3',
  ],
  [
    {renorm: true, renormClipping: {rmax: '3'}},
    'renormClipping must be an object of rmin, rmax and dmax, none of them negative, or null. Received: {"rmax":"3"}',
  ],
  [{renorm: 1}, 'renorm must be true or false. Received: 1'],
  [{renormMomentum: 2}, 'renormMomentum must be a number from 0 to 1. Received: 2'],
  [
    {virtualBatchSize: 0},
    'virtualBatchSize must be a positive integer, or null. Received: 0',
  ],
  [
    {virtualBatchSize: 1.5},
    'virtualBatchSize must be a positive integer, or null. Received: 1.5',
  ],
  [
    {adjustment: [1, 0]},
    'adjustment must be a function from a shape to a scale and an offset, or null. Received: [1,0]',
  ],
  [
    {activation: 'relu7'},
    "activation must be the name of an activation: 'elu', 'selu', 'relu', 'relu6', 'linear', 'sigmoid', 'hardSigmoid', 'softplus', 'softsign', 'tanh', 'softmax', 'logSoftmax', 'gelu', 'gelu_new', 'mish', 'swish'. Did you mean 'relu'? Received: \"relu7\"",
  ],
  [
    {activation: 7},
    "activation must be the name of an activation: 'elu', 'selu', 'relu', 'relu6', 'linear', 'sigmoid', 'hardSigmoid', 'softplus', 'softsign', 'tanh', 'softmax', 'logSoftmax', 'gelu', 'gelu_new', 'mish', 'swish'. Received: 7",
  ],
  [
    {renorm: true, virtualBatchSize: 2},
    'renorm and virtualBatchSize do not go together: the statistics of parts of a batch are not renormalized. Received: renorm true, virtualBatchSize 2',
  ],
  [
    {renorm: true, zeroDebiasMovingMean: true},
    'renorm and zeroDebiasMovingMean do not go together: renorm has moving statistics of its own. Received: renorm true, zeroDebiasMovingMean true',
  ],
  [
    {renorm: true, unbiasedMovingVariance: true},
    'renorm and unbiasedMovingVariance do not go together: renorm averages the standard deviation, not the variance. Received: renorm true, unbiasedMovingVariance true',
  ],
  [
    {renorm: true, momentum: null},
    'renorm and momentum do not go together: renorm needs a momentum. Received: renorm true, momentum null',
  ],
  [
    {zeroDebiasMovingMean: true, momentum: null},
    'zeroDebiasMovingMean and momentum do not go together: a plain average needs no correction. Received: zeroDebiasMovingMean true, momentum null',
  ],
  [
    {zeroDebiasMovingMean: true, momentum: 1},
    'zeroDebiasMovingMean and momentum do not go together: an average that gathers no weight can not be corrected for it. Received: zeroDebiasMovingMean true, momentum 1',
  ],
  [
    {renormClipping: {rmax: 2}},
    'renormClipping and renorm do not go together: it bounds what renorm does. Received: renormClipping {"rmax":2}, renorm undefined',
  ],
  [
    {renormMomentum: 0.9, renorm: false},
    'renormMomentum and renorm do not go together: it is the momentum of renorm alone. Received: renormMomentum 0.9, renorm false',
  ],
  [
    {trackMovingStatistics: false, renorm: true},
    'trackMovingStatistics and renorm do not go together: there are no moving statistics that it could apply to. Received: trackMovingStatistics false, renorm true',
  ],
  [
    {trackMovingStatistics: false, unbiasedMovingVariance: true},
    'trackMovingStatistics and unbiasedMovingVariance do not go together: there are no moving statistics that it could apply to. Received: trackMovingStatistics false, unbiasedMovingVariance true',
  ],
  [
    {trackMovingStatistics: false, zeroDebiasMovingMean: true},
    'trackMovingStatistics and zeroDebiasMovingMean do not go together: there are no moving statistics that it could apply to. Received: trackMovingStatistics false, zeroDebiasMovingMean true',
  ],
  [
    {trackMovingStatistics: false, momentum: null},
    'trackMovingStatistics and momentum do not go together: there are no moving statistics that it could apply to. Received: trackMovingStatistics false, momentum null',
  ],
  [
    {virtualBatchSize: 2, adjustment: () => 1},
    'virtualBatchSize and adjustment do not go together: an adjustment is made for the shape of a whole batch. Received: virtualBatchSize 2, adjustment a function',
  ],
  [{trainable: 'false'}, 'trainable must be true or false. Received: "false"'],
  [{name: 7}, 'name must be a string that is not empty. Received: 7'],
  [{name: ''}, 'name must be a string that is not empty. Received: ""'],
  [{dtype: 'int32'}, 'dtype must be \'float32\'. Received: "int32"'],
  [{inputDType: 'int32'}, 'inputDType must be \'float32\'. Received: "int32"'],
  [
    {inputShape: 3},
    'inputShape must be an array of integers, none of them negative, and nulls. Received: 3',
  ],
  [
    {inputShape: [3, -1]},
    'inputShape must be an array of integers, none of them negative, and nulls. Received: [3,-1]',
  ],
  [
    {batchInputShape: [null, 1.5]},
    'batchInputShape must be an array of integers, none of them negative, and nulls. Received: [null,1.5]',
  ],
  [{batchSize: 0}, 'batchSize must be a positive integer. Received: 0'],
  [{weights: {}}, 'weights must be an array of tensors. Received: {}'],
  [{weights: [1]}, 'weights must be an array of tensors. Received: [1]'],
  [{weights: [null]}, 'weights must be an array of tensors. Received: [null]'],
  [
    {gammaInitializer: 'one'},
    'gammaInitializer must be an initializer, the name of one, or the config of one that is registered. Received: "one"',
  ],
  [
    {betaRegularizer: 0.1},
    'betaRegularizer must be a regularizer, the name of one, or the config of one that is registered, or null. Received: 0.1',
  ],
  [
    {gammaConstraint: () => 1},
    'gammaConstraint must be a constraint, the name of one, or the config of one that is registered, or null. Received: a function',
  ],
  [
    {decay: 0.9},
    "there is no argument 'decay'. It is 'momentum' here: the weight of the old value.",
  ],
  [{eps: 1e-5}, "there is no argument 'eps'. It is 'epsilon' here."],
  [
    {variance_epsilon: 1e-5},
    "there is no argument 'variance_epsilon'. It is 'epsilon' here.",
  ],
  [{affine: true}, "there is no argument 'affine'. It is 'center' and 'scale' here."],
  [
    {num_features: 3},
    "there is no argument 'num_features'. The number of channels is taken from the input.",
  ],
  [
    {numFeatures: 3},
    "there is no argument 'numFeatures'. The number of channels is taken from the input.",
  ],
  [
    {training: true},
    "there is no argument 'training'. It belongs to the call: apply(x, {training: true}).",
  ],
  [
    {is_training: true},
    "there is no argument 'is_training'. It belongs to the call: apply(x, {training: true}).",
  ],
  [
    {updates_collections: null},
    "there is no argument 'updates_collections'. Update ops are collected by collectUpdateOps().",
  ],
  [
    {moving_mean_initializer: 'zeros'},
    "there is no argument 'moving_mean_initializer'. Did you mean 'movingMeanInitializer'?",
  ],
];

test.each(wrong)('%j is refused', (args, message) => {
  const before = tf.memory().numTensors;
  const make = (extra: object) => () =>
    new ResBatchNorm({...args, ...extra} as ResBatchNormArgs);
  expect(make({})).toThrow(
    expect.objectContaining({name: 'ValueError', message: `ResBatchNorm: ${message}`}),
  );
  if (!('name' in args))
    expect(make({name: 'bn'})).toThrow(`ResBatchNorm 'bn': ${message}`);
  expect(tf.memory().numTensors).toBe(before);
});

test.each<[ResBatchNormArgs]>([
  [{momentum: 0}],
  [{momentum: 1}],
  [{momentum: null, virtualBatchSize: 1}],
  [{renorm: true, renormMomentum: 0, renormClipping: {rmin: 0, rmax: 0, dmax: 0}}],
  [{renorm: true, renormMomentum: 1, renormClipping: {rmin: 0.5, rmax: Infinity}}],
  [{renorm: true, renormClipping: {rmin: 1, rmax: null!}}],
  [{renorm: true, virtualBatchSize: null, zeroDebiasMovingMean: false}],
  [{renorm: false, virtualBatchSize: 2, adjustment: null, renormClipping: null}],
  [{trackMovingStatistics: false, momentum: 0.5, renorm: false}],
  [{unbiasedMovingVariance: true, zeroDebiasMovingMean: true, renormMomentum: undefined}],
  [{inputShape: [0, null], batchInputShape: [], batchSize: 1, inputDType: 'float32'}],
  [{weights: [], dtype: 'float32', trainable: false}],
  [{betaRegularizer: null!, gammaConstraint: null!, gammaInitializer: 'ones'}],
])('%j is accepted', args => {
  expect(() => resBatchNorm(args)).not.toThrow();
});

test('an unknown argument is answered with the known ones', () => {
  expect(() => resBatchNorm({foo: 1} as ResBatchNormArgs)).toThrow(
    /^ResBatchNorm: there is no argument 'foo'\. Known are axis, momentum, epsilon, center,/,
  );
});

test.each([['bn'], [3], [null], [[]]])(
  '%j in place of the arguments is refused',
  args => {
    expect(() => new ResBatchNorm(args as ResBatchNormArgs)).toThrow(
      `ResBatchNorm: the arguments must be one object. Received: ${JSON.stringify(args)}`,
    );
  },
);

describe('the input is checked when the layer is built, before a weight is made', () => {
  const cases: [axis: number, shape: (number | null)[], message: string][] = [
    [
      3,
      [null, 4, 5],
      'axis must be from 1 to 2, or from -2 to -1, for an input of rank 3, but is 3. Received: input shape [null,4,5]',
    ],
    [
      -3,
      [null, 4, 5],
      'axis must be from 1 to 2, or from -2 to -1, for an input of rank 3, but is -3. Received: input shape [null,4,5]',
    ],
    [
      1,
      [null, null, 5],
      'the size of axis 1, the number of channels, must be known. Received: input shape [null,null,5]',
    ],
    [
      -1,
      [null],
      'the input must be of rank 2 or more, [batch, …]. Received: input shape [null]',
    ],
  ];
  test.each(cases)('axis %j, shape %j', (axis, batchShape, message) => {
    const before = tf.memory().numTensors;
    const layer = resBatchNorm({axis, name: 'bn'});
    expect(() => layer.apply(tfl.input({batchShape}))).toThrow(
      expect.objectContaining({
        name: 'ValueError',
        message: `ResBatchNorm 'bn': ${message}`,
      }),
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the type of the input is checked at each call', () => {
  test.each<[unknown, string]>([
    [[1, 2], 'the input must be a tensor or a symbolic tensor. Received: 1'],
    [undefined, 'the input must be a tensor or a symbolic tensor. Received: undefined'],
    [
      {sourceLayer: {}, shape: [null, 3], dtype: 'float32'},
      'from another copy of @tensorflow/tfjs-layers: the program loads two, and the layer and the model must come from the same',
    ],
  ])('%j', (input, message) => {
    expect(() => resBatchNorm().apply(input as tf.Tensor)).toThrow(message);
  });

  test('a tensor of strings', () => {
    expect(() => resBatchNorm({name: 'bn'}).apply(tf.tensor2d([['a']]))).toThrow(
      "ResBatchNorm 'bn': the input must be of a real type. Received: a tensor of dtype string",
    );
  });

  test('integers are normalized as floats', async () => {
    const y = resBatchNorm().apply(tf.tensor2d([[1], [3]], [2, 1], 'int32'), {
      training: true,
    });
    await expect(y as tf.Tensor).toBeAllclose([[-1], [1]], {atol: 1e-3});
  });
});

test('a layer without arguments has the defaults of the TF1 note', () => {
  expect(new ResBatchNorm().getConfig()).toEqual({
    name: expect.stringMatching(/^res_batch_norm_/),
    trainable: true,
    axis: -1,
    momentum: 0.9,
    epsilon: 1e-3,
    center: true,
    scale: true,
    nonFiniteUpdates: 'skip',
    unbiasedMovingVariance: false,
    trackMovingStatistics: true,
    renorm: false,
    virtualBatchSize: null,
    zeroDebiasMovingMean: false,
    synchronized: false,
    activation: 'linear',
    betaInitializer: {className: 'Zeros', config: {}},
    gammaInitializer: {className: 'Ones', config: {}},
    movingMeanInitializer: {className: 'Zeros', config: {}},
    movingVarianceInitializer: {className: 'Ones', config: {}},
    betaRegularizer: null,
    gammaRegularizer: null,
    betaConstraint: null,
    gammaConstraint: null,
  });
});

test.each([
  ['Relu', 'relu'],
  ['hard_sigmoid', 'hardSigmoid'],
  ['sigmod', 'sigmoid'],
])('the activation %j: %s was meant', (activation, meant) => {
  const args = {activation} as unknown as ResBatchNormArgs;
  expect(() => resBatchNorm(args)).toThrow(`Did you mean '${meant}'?`);
});

test.each([
  ['momentun', 'momentum'],
  ['zero_debias_moving_mean', 'zeroDebiasMovingMean'],
  ['Epsilon', 'epsilon'],
])('the argument %j: %s was meant', (name, meant) => {
  expect(() => resBatchNorm({[name]: 0.5})).toThrow(
    `there is no argument '${name}'. Did you mean '${meant}'?`,
  );
});

test('an axis that is a list of one is its number', () => {
  const layer = resBatchNorm({axis: [1]});
  expect(layer.axis).toBe(1);
  expect(layer.getConfig().axis).toBe(1);
});

test('renorm without bounds is saved without them', () => {
  expect(resBatchNorm({renorm: true}).getConfig()).toMatchObject({
    renorm: true,
    renormMomentum: 0.99,
    renormClipping: null,
  });
});

test('a layer takes no number from the built-in ones', () => {
  const numberOf = ({name}: tfl.layers.Layer) => Number(/\d+$/.exec(name)![0]);
  const first = numberOf(tfl.layers.batchNormalization());
  resBatchNorm({gammaInitializer: 'ones'});
  expect(numberOf(tfl.layers.batchNormalization())).toBe(first + 1);
});

test('a program may put the layer in the place of the built-in one', () => {
  const layers = {...tfl.layers};
  const replaced = jest.spyOn(tfl.layers, 'batchNormalization');
  replaced.mockImplementation(args => resBatchNorm(args as ResBatchNormArgs) as never);
  try {
    const made = tfl.layers.batchNormalization({axis: 1, gammaInitializer: 'zeros'});
    expect(made).toBeInstanceOf(ResBatchNorm);
    expect(made.getConfig().gammaInitializer).toEqual({className: 'Zeros', config: {}});
  } finally {
    replaced.mockRestore();
  }
  expect(tfl.layers.batchNormalization).toBe(layers.batchNormalization);
});
