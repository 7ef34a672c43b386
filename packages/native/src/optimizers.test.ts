import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';

import {fuseUpdates} from './optimizers.js';

const optimizers = {
  sgd: () => tf.train.sgd(0.1),
  momentum: () => tf.train.momentum(0.1, 0.9),
  'momentum by Nesterov': () => tf.train.momentum(0.1, 0.9, true),
  rmsprop: () => tf.train.rmsprop(0.01, 0.9, 0.5),
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

const asItIs = (optimizer: tf.Optimizer) => optimizer;

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

  test.each([
    ...kinds.map(([kind, make]) => [kind, 'other', fuseUpdates, make, asItIs] as const),
    ...kinds.map(([kind, make]) => [kind, 'fused', asItIs, make, fuseUpdates] as const),
  ])('%s: its state goes into the %s', async (_, __, from, make, to) => {
    const [stock, resumed] = [new Problem(), new Problem()];
    const first = from(make());
    stock.step(first);
    stock.step(first);
    resumed.variables.forEach((x, i) => x.assign(stock.variables[i]));
    const second = to(make());
    await second.setWeights(
      (await first.getWeights()).map(({name, tensor}) => ({
        name,
        tensor: tensor.clone(),
      })),
    );
    stock.step(first);
    resumed.step(second);
    const expected = await stock.values();
    const differences = (await resumed.values()).map((x, i) => Math.abs(x - expected[i]));
    expect(differences.every(difference => difference < 1e-5)).toBe(true);
    expect(second.iterations).toBe(3);
    expect(second.getConfig()).toEqual(first.getConfig());
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

  test.each(kinds)('%s: a step is one op', (_, make) => {
    const problem = new Problem();
    const optimizer = fuseUpdates(make());
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

  // What the optimizer itself takes, and the op does not.
  describe.each<[string, () => tf.Tensor | null | undefined]>([
    ['null', () => null],
    ['undefined', () => undefined],
    ['of integers', () => tf.tensor1d([1, 2], 'int32')],
    ['to broadcast', () => tf.scalar(3)],
  ])('a gradient that is %s', (_, gradient) => {
    test.each(kinds)('%s: as without fuseUpdates', (__, make) =>
      expectSameSteps(make, ([a, b]) => [
        {name: a.name, tensor: tf.ones([2])},
        {name: b.name, tensor: gradient() as tf.Tensor},
      ]),
    );
  });

  test.each(kinds)('%s: a variable named twice is updated twice', (_, make) =>
    expectSameSteps(make, ([a]) => [
      {name: a.name, tensor: tf.ones([2])},
      {name: a.name, tensor: tf.tensor1d([-3, 5])},
    ]),
  );

  test.each(kinds)('%s: an error changes nothing, and names what is wrong', (_, make) => {
    const variable = tf.variable(tf.ones([2]));
    const optimizer = fuseUpdates(make());
    const apply = (tensor: tf.Tensor) =>
      optimizer.applyGradients([{name: variable.name, tensor}]);
    apply(tf.ones([2]));
    const [before, tensors] = [variable.dataSync(), tf.memory().numTensors];
    const wrong = tf.ones([3, 2]);
    expect(() => apply(wrong)).toThrow(/shape of the new value \(3,2\)/);
    wrong.dispose();
    expect(variable.dataSync()).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(optimizer.iterations).toBe(1);
  });
});

/** That two variables after three steps, and what is saved, are those of the optimizer as it is. */
function expectSameSteps(
  make: () => tf.Optimizer,
  gradients: (variables: tf.Variable[]) => {name: string; tensor: tf.Tensor}[],
): void {
  const [expected, received] = [asItIs, fuseUpdates].map(wrap => {
    const optimizer = wrap(make());
    const variables = [tf.variable(tf.ones([2])), tf.variable(tf.tensor1d([2, -1]))];
    for (let i = 0; i < 3; ++i) {
      tf.tidy(() => optimizer.applyGradients(gradients(variables)));
    }
    return [optimizer.iterations, ...variables.flatMap(x => [...x.dataSync()])];
  });
  received.forEach((x, i) => expect(x).toBeCloseTo(expected[i], 5));
}

test('other optimizers are refused by name', () => {
  expect(() => fuseUpdates(tf.train.adadelta())).toThrow(
    /must be one of tf.train.sgd, momentum, rmsprop \(not centered\) and adam. Received: Adadelta/,
  );
  expect(() => fuseUpdates(tf.train.rmsprop(0.1, 0.9, 0, 1e-7, true))).toThrow(
    /Received: centered RMSProp/,
  );
  expect(() => fuseUpdates(undefined as unknown as tf.Optimizer)).toThrow(
    /Received: undefined/,
  );
});
