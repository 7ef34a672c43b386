/**
 * The argument `synchronized`: replicas that each have a part of a batch compute what one process
 * computes on all of it.
 */
import {normalValues} from '@resbatchnorm/testing/reference';
import * as tf from '@tensorflow/tfjs-core';

import {resBatchNorm, type ResBatchNormArgs} from '../src/index.js';
import {setReplicaGroup, withBatchStatistics} from '../src/introspection.js';

afterEach(() => setReplicaGroup(null));

class Pending extends Error {}

/** What each replica has sent, in order: the name of a call and the values. */
type Sent = {name: string; values: Float64Array}[];

/**
 * Runs `run(rank)` for every replica as if they ran at the same time. Where one has to wait for
 * what another sends, it is given up, and run again from its start when that is known.
 */
function inLockstep<T>(
  shares: number[],
  run: (rank: number) => T,
): {results: T[]; sent: Sent[]} {
  const size = shares.length;
  const sent: Sent[] = shares.map(() => []);
  const results: T[] = [];
  for (let left = size; left > 0;) {
    shares.forEach((share, rank) => {
      if (rank in results) return;
      let call = 0;
      setReplicaGroup({
        size,
        rank,
        share,
        gather(name, values) {
          sent[rank][call] = {name, values};
          const all = sent.map(messages => messages[call]);
          if (all.includes(undefined!)) throw new Pending();
          ++call;
          for (const other of all) expect(other.name).toBe(name);
          return all.map(({values}) => values);
        },
      });
      try {
        results[rank] = run(rank);
        --left;
      } catch (error) {
        if (!(error instanceof Pending)) throw error;
      }
    });
  }
  setReplicaGroup(null);
  return {results, sent};
}

const shapes = {last: [5, 2, 3, 4], first: [5, 4, 2, 3]};
const axes = {last: -1, first: 1};

interface Case {
  args?: ResBatchNormArgs;
  layout?: keyof typeof shapes;
  mean?: number;
  hasShortcut?: boolean;
}

const cases: Record<string, Case> = {
  plain: {},
  'channels first': {layout: 'first'},
  'without scale and center': {args: {scale: false, center: false}},
  'shortcut and relu': {args: {activation: 'relu'}, hasShortcut: true},
  shortcut: {hasShortcut: true},
  'relu6, channels first': {args: {activation: 'relu6'}, layout: 'first'},
  'an activation of its own': {args: {activation: 'tanh'}},
  'far from zero': {mean: 1e4},
  'unbiased moving variance': {args: {unbiasedMovingVariance: true}},
  'plain average': {args: {momentum: null}},
  'zero debias': {args: {zeroDebiasMovingMean: true}},
  renorm: {args: {renorm: true, renormClipping: {rmax: 2, dmax: 1}}},
};

const splits = ['3+2', '4+1', '5+0', '2+2+1', '0+5'];

/** Values and gradients of a layer on a part of the batch, and its moving statistics. */
function trainingCall(
  {args, layout = 'last', mean = 0.5, hasShortcut}: Case,
  [from, count]: [number, number],
  synchronized: boolean,
): tf.Tensor[] {
  const shape = shapes[layout];
  // A replica without examples stands in with all of them.
  const part = (seed: number, mean = 0) =>
    tf.slice(
      tf.tensor(normalValues(120, {seed, mean}), shape),
      count === 0 ? 0 : from,
      count === 0 ? shape[0] : count,
    );
  const x = part(1, mean);
  const shortcut = part(2);
  const layer = resBatchNorm({name: 'norm', axis: axes[layout], synchronized, ...args});
  layer.apply(hasShortcut ? [x, shortcut] : x);
  layer.trainableWeights.forEach((weight, i) =>
    weight.write(tf.tensor1d(normalValues(4, {seed: 3 + i, mean: 1}))),
  );
  // Of a loss that is the mean over the examples.
  const dy = tf.div(part(5), count === 0 ? shape[0] : count);
  const inputs = [x, shortcut, ...layer.trainableWeights.map(weight => weight.read())];
  const {value, grads} = tf.valueAndGrads((...tensors) => {
    const y = layer.apply(hasShortcut ? [x, shortcut] : x, {training: true}) as tf.Tensor;
    return hasShortcut ? y : tf.add(y, tf.mul(tensors[1], 0));
  })(inputs, dy);
  const moving = layer.nonTrainableWeights.map(weight => weight.read());
  return [value, grads[0], grads[1], ...grads.slice(2), ...moving.map(t => tf.clone(t))];
}

describe.each(Object.entries(cases))('%s', (_, setting) => {
  test.each(splits)('equals the norm of the whole batch, %s', async split => {
    const counts = split.split('+').map(Number);
    const starts = counts.map((_, rank) =>
      counts.slice(0, rank).reduce((a, b) => a + b, 0),
    );
    const shares = counts.map(count => count / 5);
    const whole = trainingCall(setting, [0, 5], false);
    const {results, sent} = inLockstep(shares, rank =>
      trainingCall(setting, [starts[rank], counts[rank]], true),
    );
    const weights = setting.args?.scale === false ? 0 : 2;
    // A mean of 10⁴ leaves float32 four digits less of what it is taken from.
    const tolerance = setting.mean === undefined ? 3e-6 : 3e-5;
    const close = {rtol: tolerance, atol: tolerance};
    for (const [rank, [y, dx, dshortcut]] of results.entries()) {
      if (counts[rank] === 0) continue;
      const part = (t: tf.Tensor) => tf.slice(t, starts[rank], counts[rank]);
      await expect(y).toBeAllclose(part(whole[0]), close);
      await expect(tf.mul(dx, shares[rank])).toBeAllclose(part(whole[1]), close);
      await expect(tf.mul(dshortcut, shares[rank])).toBeAllclose(part(whole[2]), close);
    }
    for (let i = 3; i < 3 + weights; ++i) {
      const joined = tf.addN(
        results.map((result, rank) => tf.mul(result[i], shares[rank])),
      );
      await expect(joined).toBeAllclose(whole[i], close);
    }
    for (let i = 3 + weights; i < whole.length; ++i) {
      const [first, ...others] = results.map(result => result[i]);
      await expect(first).toBeAllclose(whole[i], close);
      for (const other of others) expect(await other.data()).toEqual(await first.data());
    }
    for (const messages of sent) {
      expect(messages.map(({name}) => name)).toEqual([
        expect.stringMatching(/^moments of /),
        expect.stringMatching(/^gradient sums of /),
      ]);
    }
  });
});

/** A group in which every call is a mistake. */
function silentGroup(size = 2) {
  const gather = jest.fn(() => {
    throw new Error('it communicates');
  });
  setReplicaGroup({size, rank: 0, share: 1 / size, gather});
  return gather;
}

const batch = () => tf.tensor(normalValues(24), [6, 4]);

describe('alone or not in training, it asks nobody', () => {
  const layerOn = (args?: ResBatchNormArgs) => {
    const layer = resBatchNorm({synchronized: true, ...args});
    layer.apply(batch(), {training: false});
    return layer;
  };

  test.each([
    ['inference', {}, {training: false}],
    ['inference without moving statistics', {trackMovingStatistics: false}, {}],
    ['frozen', {trainable: false}, {training: true}],
  ])('%s', (_, args, kwargs) => {
    const gather = silentGroup();
    layerOn(args).apply(batch(), kwargs);
    expect(gather).not.toHaveBeenCalled();
  });

  test('a look at the statistics of a batch', () => {
    const gather = silentGroup();
    const layer = layerOn();
    withBatchStatistics(
      [layer],
      () => {},
      () => layer.apply(batch(), {training: false}),
    );
    expect(gather).not.toHaveBeenCalled();
  });

  test.each([
    ['a group of one', 1],
    ['no group', null],
  ])('%s', (_, size) => {
    if (size !== null) silentGroup(size);
    layerOn().apply(batch(), {training: true});
  });

  test('a layer that is not synchronized', () => {
    const gather = silentGroup();
    resBatchNorm().apply(batch(), {training: true});
    expect(gather).not.toHaveBeenCalled();
  });
});

test('a batch that is not finite on one replica is skipped on all', async () => {
  const {results} = inLockstep([0.5, 0.5], rank => {
    const layer = resBatchNorm({name: 'norm', synchronized: true});
    layer.apply(rank === 1 ? tf.fill([6, 4], NaN) : batch(), {training: true});
    return layer;
  });
  for (const layer of results) {
    const [mean, variance] = layer.getWeights().slice(2);
    expect([...(await mean.data()), ...(await variance.data())]).toEqual([
      ...[0, 0, 0, 0],
      ...[1, 1, 1, 1],
    ]);
    expect(await layer.readSkippedUpdateCount()).toBe(1);
  }
});

test('one value a channel on each replica is enough to normalize by', async () => {
  const {results} = inLockstep([0.5, 0.5], rank => {
    const layer = resBatchNorm({name: 'norm', synchronized: true});
    const y = layer.apply(tf.tensor2d([[rank]]), {training: true}) as tf.Tensor;
    return {y, layer};
  });
  const y = 0.5 / Math.sqrt(0.25 + 1e-3);
  await expect(results[0].y).toBeAllclose([-y], {rtol: 1e-6, atol: 0});
  await expect(results[1].y).toBeAllclose([y], {rtol: 1e-6, atol: 0});
  expect(results[0].layer.lastValueCount).toBe(2);
});

describe('is refused', () => {
  test('with virtual batches', () => {
    expect(() => resBatchNorm({synchronized: true, virtualBatchSize: 2})).toThrow(
      /virtualBatchSize and synchronized do not go together/,
    );
  });

  test.each([
    ['a mask', {mask: () => tf.ones([6])}],
    ['batchWeights', {batchWeights: () => tf.ones([6])}],
  ])('with %s', (what, kwargs) => {
    const [[name, make]] = Object.entries(kwargs);
    const layer = resBatchNorm({synchronized: true});
    expect(() => layer.apply(batch(), {training: true, [name]: make()})).toThrow(
      `synchronized can't be used with ${what}. Received: [6]`,
    );
  });

  test('in a gradient of a gradient', () => {
    const run = () =>
      inLockstep([0.5, 0.5], () => {
        const layer = resBatchNorm({name: 'norm', synchronized: true});
        const grad = tf.grad(x => layer.apply(x, {training: true}) as tf.Tensor);
        return tf.grad(x => tf.sum(tf.square(grad(x))))(batch());
      });
    expect(run).toThrow(/gradient of a synchronized norm can't be differentiated/);
  });
});

test('is saved', () => {
  expect(resBatchNorm({synchronized: true}).getConfig().synchronized).toBe(true);
});
