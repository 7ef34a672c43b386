import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

import {fuseUpdates} from './optimizers.js';

const optimizers = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  'momentum by Nesterov': () => tf.train.momentum(0.1, 0.9, true),
  adam: () => tf.train.adam(0.01),
};
const kinds = Object.entries(optimizers);

/** Variables of several sizes: more than one thread works at the largest. */
class Problem {
  readonly variables = [[3], [2, 5], [200, 201], []].map((shape, i) =>
    tf.variable(tf.randomNormal(shape, 0, 1, 'float32', i + 1)),
  );

  step(optimizer: tf.Optimizer): void {
    const smooth = (x: tf.Tensor) => tf.sum(tf.sqrt(tf.add(tf.square(x), 1)));
    const loss = () => tf.addN(this.variables.map(smooth)) as tf.Scalar;
    optimizer.minimize(loss, false, this.variables);
  }

  async values(): Promise<number[]> {
    const all = await Promise.all(this.variables.map(x => x.data()));
    return all.flatMap(values => [...values]);
  }
}

function countOps(): () => string[] {
  const backend = tf.backend() as unknown as {executeMultipleOutputs(name: string): void};
  const spy = jest.spyOn(backend, 'executeMultipleOutputs');
  return () => spy.mock.calls.map(([name]) => name);
}

afterEach(() => jest.restoreAllMocks());

describe.each(['tensorflow', 'cpu'])('on %s', backendName => {
  beforeAll(async () => {
    await import('@tensorflow/tfjs-node-gpu');
    await tf.setBackend(backendName);
    // Otherwise the cpu backend advises another one.
    tf.env().set('IS_TEST', backendName === 'cpu');
  });

  test.each(kinds)('%s: equal to the optimizer as it is', async (_, make) => {
    const [stock, fused] = [new Problem(), new Problem()];
    const [optimizer, ofFused] = [make(), fuseUpdates(make())];
    for (let i = 0; i < 4; ++i) {
      stock.step(optimizer);
      fused.step(ofFused);
    }
    const expected = await stock.values();
    const differences = (await fused.values()).map((x, i) => Math.abs(x - expected[i]));
    expect(Math.max(...differences.slice(0, 13))).toBeLessThan(2e-6);
    expect(differences.every(difference => difference < 1e-5)).toBe(true);
  });

  test.each(kinds)('%s: its state goes into the other, and back', async (_, make) => {
    const [stock, fused] = [new Problem(), new Problem()];
    const first = fuseUpdates(make());
    for (let i = 0; i < 2; ++i) {
      stock.step(first);
      fused.variables.forEach((x, at) => x.assign(stock.variables[at]));
    }
    const weights = await first.getWeights();
    const second = make();
    await second.setWeights(
      weights.map(({name, tensor}) => ({name, tensor: tensor.clone()})),
    );
    stock.step(first);
    fused.step(second);
    const expected = await stock.values();
    const differences = (await fused.values()).map((x, i) => Math.abs(x - expected[i]));
    expect(differences.every(difference => difference < 1e-5)).toBe(true);
    expect(first.iterations).toBe(second.iterations);
  });

  test.each(kinds)('%s: a step keeps no tensor', (_, make) => {
    const problem = new Problem();
    const optimizer = fuseUpdates(make());
    problem.step(optimizer);
    const before = tf.memory();
    problem.step(optimizer);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
  });
});

describe('on tensorflow', () => {
  beforeAll(() => tf.setBackend('tensorflow'));

  test('a step is one op', () => {
    const problem = new Problem();
    const optimizer = fuseUpdates(tf.train.adam(0.01));
    problem.step(optimizer);
    const opsRun = countOps();
    problem.step(optimizer);
    expect(opsRun().filter(name => name === 'ResBatchNormOptimizerStep')).toHaveLength(1);
  });

  test('a learning rate that is set counts from the next step on', async () => {
    const [stock, fused] = [new Problem(), new Problem()];
    const [optimizer, ofFused] = [tf.train.sgd(0.1), fuseUpdates(tf.train.sgd(0.1))];
    for (const rate of [0.1, 0.01]) {
      for (const [problem, one] of [
        [stock, optimizer],
        [fused, ofFused],
      ] as const) {
        one.setLearningRate(rate);
        problem.step(one);
      }
    }
    const expected = await stock.values();
    expect((await fused.values()).every((x, i) => Math.abs(x - expected[i]) < 1e-5)).toBe(
      true,
    );
  });

  test('a variable without a gradient is left alone', async () => {
    const variables = [tf.variable(tf.ones([2])), tf.variable(tf.ones([2]))];
    const optimizer = fuseUpdates(tf.train.momentum(1, 0.5));
    const apply = (other: tf.Tensor | null) =>
      optimizer.applyGradients([
        {name: variables[0].name, tensor: tf.ones([2])},
        {name: variables[1].name, tensor: other as tf.Tensor},
      ]);
    apply(tf.ones([2]));
    apply(null);
    expect([...(await variables[0].data())]).toEqual([-1.5, -1.5]);
    expect([...(await variables[1].data())]).toEqual([0, 0]);
  });
});

test('other optimizers are refused by name', () => {
  expect(() => fuseUpdates(tf.train.adadelta())).toThrow(
    /must be one of tf.train.sgd, momentum and adam. Received: Adadelta/,
  );
  expect(() => fuseUpdates(undefined as unknown as tf.Optimizer)).toThrow(
    /Received: undefined/,
  );
});
