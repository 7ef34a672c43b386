/** What is a gap, what it is put down to, and how it is told. */
import {collectUpdateOps} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {fillWeight, kinds, resBatchNorm} from '../../test/models';
import {PhaseGapCheck, PhaseGapError} from '..';
import type {PhaseGapCheckArgs, PhaseGapReport} from '..';

let data: {xs: tf.Tensor2D; ys: tf.Tensor2D};

beforeEach(() => {
  // A mean of 8, a standard deviation of 2. The target is the input normalized.
  const ys = tf.randomNormal<tf.Rank.R2>([64, 3], 0, 1, 'float32', 5);
  data = {xs: tf.add(tf.mul(ys, 2), 8), ys};
});

afterEach(() => {
  tf.dispose([data.xs, data.ys]);
  jest.restoreAllMocks();
});

function normOnly(layer: tfl.layers.Layer): tfl.LayersModel {
  const input = tfl.input({shape: [3]});
  const output = layer.apply(input) as tfl.SymbolicTensor;
  const model = tfl.model({inputs: input, outputs: output});
  model.compile({loss: 'meanSquaredError', optimizer: tf.train.sgd(1e-6)});
  return model;
}

/** A check whose reports of gaps are collected. */
function collectingCheck(args: Partial<PhaseGapCheckArgs> = {}) {
  const gaps: PhaseGapReport[] = [];
  const onGap = (report: PhaseGapReport) => void gaps.push(report);
  return {check: new PhaseGapCheck({data, onGap, ...args}), gaps};
}

/** `epochs` of 4 steps. */
function fit(model: tfl.LayersModel, callbacks: tfl.Callback, epochs: number) {
  return model.fit(data.xs, data.ys, {batchSize: 16, epochs, callbacks, verbose: 0});
}

describe.each(kinds)('%s', (_className, makeNorm) => {
  const norm = (momentum: number) => makeNorm({name: 'bn', momentum} as {name: string});

  test('statistics that were not loaded', async () => {
    const {check, gaps} = collectingCheck();
    const report = await check.check(normOnly(norm(0.9)));
    expect(report.isGap).toBe(true);
    expect(gaps).toEqual([report]);
    expect(report.layers).toMatchObject([{layer: 'bn', cause: 'never updated'}]);
    expect(report.layers[0].message).toMatch(
      'its moving statistics are the initial ones, 0 and 1. Load them',
    );
  });

  test('statistics that are right are no gap', async () => {
    const model = normOnly(norm(0.9));
    fillWeight(model.layers[1], 'moving_mean', 8);
    fillWeight(model.layers[1], 'moving_variance', 4);
    const {check} = collectingCheck();
    const report = await check.check(model);
    expect(report).toMatchObject({isGap: false, layers: [{cause: 'unlike the data'}]});
    expect(report.layers[0].distance).toBeLessThan(0.2);
  });

  test('a distance that does no harm, and a loss with no distance, are no gap', async () => {
    const model = normOnly(norm(0.9));
    const harmless = collectingCheck({threshold: {loss: 1e6}});
    const near = collectingCheck({threshold: {distance: 1e6}});
    expect(await harmless.check.check(model)).toMatchObject({isGap: false});
    expect(await near.check.check(model)).toMatchObject({isGap: false});
  });

  test('a momentum that is too high for so few steps', async () => {
    const {check, gaps} = collectingCheck();
    await fit(normOnly(norm(0.9999)), check, 2);
    expect(gaps).toHaveLength(2);
    expect(gaps[1].layers).toMatchObject([{cause: 'momentum too high', updates: 8}]);
    expect(gaps[1].layers[0].message).toBe(
      'after 8 updates with momentum 0.9999, the values before them make up 99.9 % of its ' +
        'moving statistics. Take more steps, or a momentum of 0.68 or less',
    );
  });

  test('young statistics that will be right at the end are no gap', async () => {
    const {check, gaps} = collectingCheck();
    await fit(normOnly(norm(0.9)), check, 20);
    expect(gaps).toEqual([]);
    const [{layers, lossGap}] = check.report();
    expect(lossGap).toBeGreaterThan(1);
    expect(layers[0].distance).toBeGreaterThan(1);
    expect(layers[0].expectedDistance).toBeCloseTo(layers[0].distance * 0.9 ** 76, 6);
  });

  test('no update in a training, of statistics that were loaded', async () => {
    const layer = norm(0.9);
    const model = normOnly(layer);
    fillWeight(layer, 'moving_mean', 20);
    // In inference mode whatever it is told.
    const call = layer.call.bind(layer);
    layer.call = (inputs, kwargs) => call(inputs, {...kwargs, training: false});
    const {check, gaps} = collectingCheck();
    await fit(model, check, 3);
    expect(gaps).toHaveLength(3);
    expect(gaps[0].layers).toMatchObject([{cause: 'never updated', updates: 0}]);
    expect(gaps[0].layers[0].message).toMatch(/^no update op ran in this training. Load/);
  });

  test('weights that have just jumped are no gap until the next check', async () => {
    const layer = norm(0.3);
    const model = normOnly(layer);
    const {check, gaps} = collectingCheck();
    const jumpAt = (jumps: number[]) =>
      new (class extends tfl.Callback {
        override async onEpochEnd(epoch: number) {
          if (jumps.includes(epoch)) fillWeight(layer, 'moving_mean', 30);
        }
      })();
    const epochs = {batchSize: 16, epochs: 8, verbose: 0} as const;
    const callbacks = [jumpAt([3, 5, 6]), check];
    await model.fit(data.xs, data.ys, {...epochs, callbacks});
    expect(check.report().map(({layers}) => layers[0].distance > 0.5)).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map(epoch => [3, 5, 6].includes(epoch)),
    );
    expect(gaps.map(({epoch}) => epoch)).toEqual([6]);
    expect(gaps[0].layers).toMatchObject([{cause: 'unlike the data'}]);
  });

  test('moving statistics that are not finite are infinitely far off', async () => {
    const model = normOnly(norm(0.9));
    fillWeight(model.layers[1], 'moving_variance', NaN);
    const {check} = collectingCheck();
    const report = await check.check(model);
    expect(report).toMatchObject({isGap: true, lossGap: Infinity});
    expect(report.layers[0].distance).toBe(Infinity);
  });

  test('thrown, it ends the training, and leaks nothing', async () => {
    const model = normOnly(norm(0.9999));
    await fit(model, collectingCheck().check, 1);
    const {numTensors} = tf.memory();
    const check = new PhaseGapCheck({data, onGap: 'throw'});
    await expect(fit(model, check, 3)).rejects.toThrow(PhaseGapError);
    expect(check.report()).toHaveLength(1);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

test('update ops that were collected and not run', async () => {
  const model = normOnly(resBatchNorm({name: 'bn'}));
  const {result, updateOps} = collectUpdateOps(() =>
    model.apply(data.xs, {training: true}),
  );
  tf.dispose(result as tf.Tensor);
  updateOps.dispose();
  const {check} = collectingCheck();
  const [layer] = (await check.check(model)).layers;
  expect(layer).toMatchObject({cause: 'collected and not run', updates: 0});
  expect(layer.message).toMatch('update ops made: 1, run: 0. Run what collectUpdateOps');
});

describe('one value a channel', () => {
  const REMEDY =
    'Train with larger batches, or freeze the layer: freezeBatchNorm(model) of ' +
    '@resbatchnorm/layer';

  /** A dense layer, whose channels have as many values as the batch has examples. */
  function denseNorm(layer: tfl.layers.Layer): tfl.LayersModel {
    const model = tfl.sequential();
    model.add(tfl.layers.dense({units: 4, inputShape: [3]}));
    model.add(layer);
    model.add(tfl.layers.dense({units: 3}));
    model.compile({loss: 'meanSquaredError', optimizer: tf.train.sgd(1e-3)});
    return model;
  }

  async function train(model: tfl.LayersModel, examples: number, args: object) {
    const xs = tf.slice(data.xs, 0, examples);
    const ys = tf.slice(data.ys, 0, examples);
    await model.fit(xs, ys, {verbose: 0, ...args});
    tf.dispose([xs, ys]);
  }

  const withMomentum = (momentum: number | null) => ({name: 'bn', momentum}) as object;

  describe.each(kinds)('%s', (className, makeNorm) => {
    test.each([
      ['of as many examples', undefined, 0.9],
      ['of more', 16, 0.9],
      ['of more, at a high momentum', 16, 0.99],
    ])('of batches of 1, seen by a check %s', async (_name, batchSize, momentum) => {
      const {check, gaps} = collectingCheck({batchSize});
      const model = denseNorm(makeNorm(withMomentum(momentum)));
      await train(model, 64, {batchSize: 1, epochs: 3, callbacks: check});
      expect(check.report()).toHaveLength(3);
      for (const {layers} of check.report()) {
        expect(layers).toMatchObject([
          {
            cause: 'one value a channel',
            message:
              (className === 'ResBatchNorm'
                ? 'it is trained on batches with one value a channel, which has variance 0 ' +
                  '(they make up 100 % of its updates in this training), so that its moving ' +
                  'variance goes to 0. '
                : 'the variance of each batch in this training was 0 in all channels, as ' +
                  'that of one value a channel is, so that its moving variance goes to 0. ') +
              REMEDY,
          },
        ]);
        // More training does not make it good.
        expect(layers[0].expectedDistance).toBe(layers[0].distance);
      }
      // Each has a distance of more than 0.5; the loss tells that late.
      expect(gaps.length).toBeGreaterThan(0);
    });

    test('a last batch of 1 is no cause, where the others outweigh it', async () => {
      const {check} = collectingCheck();
      const model = denseNorm(makeNorm(withMomentum(0.9)));
      await train(model, 33, {batchSize: 4, epochs: 20, callbacks: check});
      const [{cause}] = check.report().at(-1)!.layers;
      expect(cause).not.toBe('one value a channel');
    });

    test('of a training that nobody saw', async () => {
      const model = denseNorm(makeNorm(withMomentum(0.9)));
      await train(model, 64, {batchSize: 1, epochs: 4});
      const {layers, isGap} = await collectingCheck().check.check(model);
      expect(isGap).toBe(true);
      expect(layers).toMatchObject([
        {
          cause: 'one value a channel',
          message:
            className === 'ResBatchNorm'
              ? 'in its last training call each channel had one value, which has variance ' +
                `0: in a training of such calls the moving variance goes to 0. ${REMEDY}`
              : 'its moving variances are near 0, and the variances of these data are not. ' +
                'So they are if these data are not prepared as in training, or after ' +
                'training on batches with one value a channel, which has variance 0. ' +
                REMEDY,
        },
      ]);
    });

    test('in the check alone is told as that', async () => {
      const model = denseNorm(makeNorm(withMomentum(0.9)));
      await train(model, 64, {batchSize: 16, epochs: 10});
      const {layers} = await collectingCheck({batchSize: 1}).check.check(model);
      expect(layers).toMatchObject([
        {
          cause: 'unlike the data',
          message:
            'the batches of this check have one value a channel, of which the variance is ' +
            '0. Give PhaseGapCheck larger ones: batchSize, that of the training',
        },
      ]);
    });

    test('inputs that do not vary are not taken for it', async () => {
      const model = denseNorm(makeNorm(withMomentum(0.9)));
      const xs = tf.ones([64, 3]);
      const {check} = collectingCheck({data: {xs, ys: data.ys}});
      const args = {batchSize: 16, epochs: 2, verbose: 0} as const;
      await model.fit(xs, data.ys, {...args, callbacks: check});
      expect(check.report()[1].layers[0].cause).not.toBe('one value a channel');
      xs.dispose();
    });
  });

  test.each([
    // ½ of the last update and ⅛ of the third last, of 15/16 in all.
    ['momentum ½', 0.5, 32, '66.7'],
    ['the plain average', null, 16, '33.3'],
  ])(
    'a part of the updates is told by its weight: %s',
    async (_name, momentum, batchSize, percent) => {
      const {check} = collectingCheck();
      const model = denseNorm(resBatchNorm(withMomentum(momentum)));
      await train(model, 33, {batchSize, epochs: 2, callbacks: check});
      const [{message}] = check.report()[1].layers;
      expect(message).toContain(
        `they make up ${percent} % of its updates in this training`,
      );
    },
  );
});

describe('the message', () => {
  function report(names: string[]): PhaseGapReport {
    return {
      epoch: 2,
      examples: 64,
      training: {loss: 0.5, acc: 0.91},
      inference: {loss: 2.25, acc: 0.4},
      lossGap: 3.5,
      isGap: true,
      layers: names.map((layer, i) => ({
        layer,
        className: 'ResBatchNorm',
        distance: i,
        meanDistance: i,
        varianceDistance: 0.12345,
        cause: 'never updated',
        message: 'why',
        expectedDistance: i,
      })),
    };
  }

  test('names the three layers that are furthest off', () => {
    const error = new PhaseGapError(report(['a', 'b', 'c', 'd']));
    expect(error).toMatchObject({name: 'PhaseGapError', report: {epoch: 2}});
    expect(error.message).toBe(
      'PhaseGapCheck, epoch 3: the model is worse in inference mode than in training mode ' +
        'on the same 64 examples: loss 0.5 → 2.25, acc 0.91 → 0.4.\n' +
        '  d (ResBatchNorm): mean off by 3, variance by 0.123: why.\n' +
        '  c (ResBatchNorm): mean off by 2, variance by 0.123: why.\n' +
        '  b (ResBatchNorm): mean off by 1, variance by 0.123: why.\n' +
        '  recalibrate() of @resbatchnorm/layer computes the moving statistics anew from data.',
    );
  });

  test('is written to the console once until the gap has closed', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => {});
    const layer = resBatchNorm({name: 'bn'});
    const model = normOnly(layer);
    const check = new PhaseGapCheck({data});
    await check.check(model);
    await check.check(model);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledWith(
      expect.stringMatching(
        /^PhaseGapCheck: the model is worse .*\n {2}bn \(ResBatchNorm\)/,
      ),
    );
    fillWeight(layer, 'moving_mean', 8);
    fillWeight(layer, 'moving_variance', 4);
    expect((await check.check(model)).isGap).toBe(false);
    fillWeight(layer, 'moving_mean', 0);
    await check.check(model);
    expect(warn).toHaveBeenCalledTimes(2);
  });
});
