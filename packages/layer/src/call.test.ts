import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {functional, on} from '../test/models.js';
import {resBatchNorm} from './index.js';

const x = () => tf.tensor2d([[1, 2], [3, 6], [5, 7]]); // prettier-ignore
const named = () => resBatchNorm({name: 'bn'});

describe('arguments of apply that are wrong', () => {
  test.each<[unknown, string]>([
    [
      true,
      "ResBatchNorm 'bn': the second argument of apply must be an object: {training: true}. " +
        'Received: true',
    ],
    [
      {trainig: true},
      "ResBatchNorm 'bn': apply has no argument 'trainig'. Did you mean 'training'? " +
        'Received: true',
    ],
    [
      {foo: 1},
      "ResBatchNorm 'bn': apply has no argument 'foo'. Known are training, mask, batchWeights. " +
        'Received: 1',
    ],
    [
      {training: 'false'},
      'ResBatchNorm \'bn\': training must be true or false. Received: "false"',
    ],
    [{training: 1}, "ResBatchNorm 'bn': training must be true or false. Received: 1"],
  ])('%j', (kwargs, message) => {
    const layer = named();
    const before = tf.memory().numTensors;
    const input = x();
    expect(() => layer.apply(input, kwargs as object)).toThrow(
      expect.objectContaining({name: 'ValueError', message}),
    );
    input.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('in what a model hands to all of its layers, a slip is told from what is for others', () => {
    const model = functional([2], y => on(named(), y));
    expect(() => model.apply(x(), {trainig: true})).toThrow("Did you mean 'training'?");
    expect(() => model.apply(x(), {training: 'false'})).toThrow('true or false');
    expect(() => model.apply(x(), {constants: 3, training: true})).not.toThrow();
  });

  test('none at all, and undefined ones, are inference mode', () => {
    const layer = named();
    for (const kwargs of [undefined, {}, {training: undefined}, {training: false}]) {
      layer.apply(x(), kwargs);
    }
    expect(layer.updateOpCount).toBe(0);
  });
});

describe('a call that does not say which phase it is, while gradients are recorded', () => {
  let warn: jest.SpyInstance;
  beforeEach(() => {
    warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
  });
  afterEach(() => warn.mockRestore());

  const model = (layer = named()) =>
    tfl.sequential({layers: [tfl.layers.dense({units: 2, inputShape: [2]}), layer]});
  const minimize = (output: () => tf.Tensor) =>
    tf.train.sgd(0.1).minimize(() => tf.mean(tf.square(output())) as tf.Scalar);

  test('predict in minimize: warned of once a layer, with what to write', () => {
    const net = model();
    for (let step = 0; step < 3; ++step) minimize(() => net.predict(x()) as tf.Tensor);
    expect(warn.mock.calls).toEqual([
      [
        "ResBatchNorm 'bn': it is called in inference mode while gradients are recorded: it " +
          'normalizes by its moving statistics, which stay as they are. To train, write ' +
          'model.apply(x, {training: true}) in place of model.predict(x) or apply(x); if ' +
          'inference mode is meant, apply(x, {training: false}).',
      ],
    ]);
  });

  test('apply without arguments', () => {
    const net = model();
    minimize(() => net.apply(x()) as tf.Tensor);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test.each<[string, boolean, object | undefined]>([
    ['training mode', true, {training: true}],
    ['inference mode that is asked for', true, {training: false}],
    ['a frozen layer', false, undefined],
  ])('%s: no warning', (_name, trainable, kwargs) => {
    const net = model(resBatchNorm({trainable}));
    minimize(() => net.apply(x(), kwargs) as tf.Tensor);
    expect(warn).not.toHaveBeenCalled();
  });

  test('no gradients: no warning', () => {
    model().predict(x());
    expect(warn).not.toHaveBeenCalled();
  });

  test('a layer without moving statistics, whose modes are the same: no warning', () => {
    const net = model(resBatchNorm({trackMovingStatistics: false}));
    minimize(() => net.apply(x()) as tf.Tensor);
    expect(warn).not.toHaveBeenCalled();
  });

  test('fit and evaluate: no warning', async () => {
    const net = model();
    net.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    await net.fit(x(), x(), {verbose: 0, validationData: [x(), x()]});
    net.evaluate(x(), x());
    expect(warn).not.toHaveBeenCalled();
  });
});

declare const backendUnderTest: string;
const onWasm = backendUnderTest === 'wasm' ? describe : describe.skip;

onWasm('a training call on wasm without the kernels that train convolutions', () => {
  test('says, once, which package has them', () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
    const kernel = tf.getKernel('Conv2DBackpropFilter', 'wasm')!;
    tf.unregisterKernel('Conv2DBackpropFilter', 'wasm');
    try {
      const images = () => tf.ones([2, 2, 2, 1]);
      const loss = (layer = named()) =>
        tf.variableGrads(
          () => tf.sum(layer.apply(images(), {training: true})) as tf.Scalar,
        );
      tf.tidy(() => void named().apply(images(), {training: true}));
      expect(warn).not.toHaveBeenCalled();
      const layer = named();
      layer.build([null, 2, 2, 1]);
      for (let step = 0; step < 2; ++step) loss(layer);
      expect(warn).toHaveBeenCalledTimes(1);
      expect(warn.mock.calls[0][0]).toContain("import '@resbatchnorm/wasm-training'");
    } finally {
      tf.registerKernel(kernel);
      warn.mockRestore();
    }
  });
});
