/** Training N steps, saving, resuming and training N more is the same as training 2N. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {compile, denseModel, encoder, kinds, lossOf, makeBatch} from '../../test/models';
import type {Batch} from '../../test/models';
import {remainingBatches} from '..';
import {ModelCheckpoint, resume} from '../node';
import type {BatchDataset} from '..';

let path: string;

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'checkpoint-'));
});

afterEach(() => rm(path, {recursive: true}));

/** The bits of all weights, so that 0 and -0 are not the same. */
async function weightsOf(model: tfl.LayersModel): Promise<string[]> {
  return Promise.all(
    model.weights.map(async weight => {
      const {buffer, byteOffset, byteLength} = await weight.read().data();
      return Buffer.from(buffer, byteOffset, byteLength).toString('hex');
    }),
  );
}

/** Batch `n` of an epoch. Each has other values. */
function batchOf(n: number): Batch {
  const xs = tf.randomNormal([8, 3], 1, 2, 'float32', n + 1) as tf.Tensor2D;
  return {xs, ys: tf.sum(xs, 1, true)};
}

/** Passes of `size` batches; the order is another in each. */
function dataset(size: number, firstEpoch = 0): BatchDataset<Batch> {
  let epoch = firstEpoch;
  const iterator = async () => {
    let next = 0;
    // As in tf.data, nothing happens before the first batch is asked for.
    let order = -1;
    return {
      next: async (): Promise<IteratorResult<Batch>> => {
        if (order < 0) order = epoch++;
        if (next === size) return {value: null, done: true};
        return {value: batchOf(order * 100 + next++), done: false};
      },
    };
  };
  return {size, iterator};
}

function fitDataset(
  model: tfl.LayersModel,
  data: BatchDataset<Batch>,
  args: Partial<tfl.ModelFitDatasetArgs<Batch>>,
): Promise<tfl.History> {
  return model.fitDataset(data, {epochs: 1, verbose: 0, ...args});
}

/** Ends the training after a number of steps, as a killed process does. */
class StopAfter extends tfl.Callback {
  constructor(private stepsLeft: number) {
    super();
  }

  override async onBatchEnd(): Promise<void> {
    this.stepsLeft -= 1;
    if (this.stepsLeft === 0) throw new Error('stopped');
  }
}

const optimizers: [string, () => tf.Optimizer][] = [
  ['SGD', () => tf.train.sgd(0.01)],
  ['Momentum', () => tf.train.momentum(0.01, 0.9)],
  ['Momentum with Nesterov', () => tf.train.momentum(0.01, 0.9, true)],
  ['RMSProp', () => tf.train.rmsprop(0.01)],
  ['RMSProp, centered', () => tf.train.rmsprop(0.01, 0.9, 0.5, 1e-3, true)],
  ['Adagrad', () => tf.train.adagrad(0.01)],
  ['Adadelta', () => tf.train.adadelta(0.1, 0.9)],
  ['Adam', () => tf.train.adam(0.01)],
  ['Adamax', () => tf.train.adamax(0.01, 0.9, 0.999, undefined, 0.1)],
];

/** The same initial weights each time. */
function seededModel(...inner: tfl.layers.Layer[]): tfl.Sequential {
  const model = denseModel(...inner);
  tf.tidy(() =>
    model.layers
      .filter(layer => layer.getClassName() === 'Dense')
      .forEach((layer, i) => {
        const [kernel, bias] = layer.getWeights();
        const seeded = tf.randomNormal(kernel.shape, 0, 0.5, 'float32', i + 1);
        layer.setWeights([seeded, tf.zeros(bias.shape)]);
      }),
  );
  return model;
}

describe.each(optimizers)('with %s', (_name, makeOptimizer) => {
  test.each(kinds)(
    'and %s, resumed is the same as never stopped',
    async (_kind, norm) => {
      const start = () => {
        const model = seededModel(norm({name: 'bn'}));
        model.compile({optimizer: makeOptimizer(), loss: 'meanSquaredError'});
        return model;
      };
      const whole = start();
      await fitDataset(whole, dataset(3), {epochs: 4});

      await fitDataset(start(), dataset(3), {
        epochs: 2,
        callbacks: [new ModelCheckpoint({path})],
      });
      const {model, optimizer, epoch, step, stepInEpoch} = await resume(path);
      expect([epoch, step, stepInEpoch]).toEqual([2, 6, 0]);
      expect(optimizer.iterations).toBe(6);
      await fitDataset(model, dataset(3, epoch), {
        epochs: 4,
        initialEpoch: epoch,
        callbacks: [new ModelCheckpoint({path})],
      });
      expect(await weightsOf(model)).toEqual(await weightsOf(whole));
      expect((await resume(path)).step).toBe(12);
    },
  );
});

test.each([
  ['passes of an epoch each', undefined],
  ['one pass over all epochs', 5],
])('in the middle of an epoch, with %s', async (_name, batchesPerEpoch) => {
  const start = () => compile(seededModel());
  const endless = batchesPerEpoch !== undefined;
  /** Endless: the batches of all epochs in one pass. */
  const data = (epoch = 0): BatchDataset<Batch> => {
    if (!endless) return dataset(5, epoch);
    const passes = dataset(5, epoch);
    const iterator = async () => {
      let pass = await passes.iterator();
      return {
        next: async () => {
          const result = await pass.next();
          if (!result.done) return result;
          pass = await passes.iterator();
          return pass.next();
        },
      };
    };
    return {size: Infinity, iterator};
  };
  const whole = start();
  await fitDataset(whole, data(), {epochs: 3, batchesPerEpoch});

  const checkpoint = new ModelCheckpoint({path, everySteps: 4});
  const training = fitDataset(start(), data(), {
    epochs: 3,
    batchesPerEpoch,
    callbacks: [checkpoint, new StopAfter(9)],
  });
  await expect(training).rejects.toThrow('stopped');
  const {model, epoch, step, stepInEpoch} = await resume(path);
  expect([epoch, step, stepInEpoch]).toEqual([1, 8, 3]);
  const rest = remainingBatches(data(epoch), {stepInEpoch, batchesPerEpoch});
  await fitDataset(model, rest, {
    epochs: 3,
    initialEpoch: epoch,
    callbacks: [new ModelCheckpoint({path, everySteps: 4, keep: 9})],
  });
  expect(await weightsOf(model)).toEqual(await weightsOf(whole));
  expect(await resume(path)).toMatchObject({epoch: 3, step: 15, stepInEpoch: 0});
});

test('between the last step of an epoch and its end', async () => {
  const whole = compile(seededModel());
  await fitDataset(whole, dataset(3), {epochs: 2});
  const training = fitDataset(compile(seededModel()), dataset(3), {
    epochs: 2,
    callbacks: [new ModelCheckpoint({path, everySteps: 1}), new StopAfter(3)],
  });
  await expect(training).rejects.toThrow('stopped');
  const {model, epoch, stepInEpoch} = await resume(path);
  expect([epoch, stepInEpoch]).toEqual([0, 3]);
  await fitDataset(model, remainingBatches(dataset(3, epoch), {stepInEpoch}), {
    epochs: 2,
    initialEpoch: epoch,
    callbacks: [new ModelCheckpoint({path, monitor: 'loss'})],
  });
  expect(await weightsOf(model)).toEqual(await weightsOf(whole));
});

test('twice in one epoch', async () => {
  const callbacks = () => [new ModelCheckpoint({path, everySteps: 1}), new StopAfter(2)];
  const first = fitDataset(compile(seededModel()), dataset(5), {callbacks: callbacks()});
  await expect(first).rejects.toThrow('stopped');
  const {model, stepInEpoch} = await resume(path);
  const rest = remainingBatches(dataset(5), {stepInEpoch});
  const second = fitDataset(model, rest, {callbacks: callbacks()});
  await expect(second).rejects.toThrow('stopped');
  expect(await resume(path)).toMatchObject({epoch: 0, step: 4, stepInEpoch: 4});
});

test('by fit, which shuffles unless told not to', async () => {
  const {xs, ys} = makeBatch(24);
  const args = {batchSize: 8, shuffle: false, verbose: 0} as const;
  const start = () => compile(seededModel());
  const whole = start();
  await whole.fit(xs, ys, {...args, epochs: 4});
  const callbacks = [new ModelCheckpoint({path})];
  await start().fit(xs, ys, {...args, epochs: 2, callbacks});
  const {model, epoch} = await resume(path);
  await model.fit(xs, ys, {...args, epochs: 4, initialEpoch: epoch});
  expect(await weightsOf(model)).toEqual(await weightsOf(whole));
});

test('a loop that minimizes over all variables, in a model with branches', async () => {
  const start = () => {
    const input = tfl.input({shape: [3]});
    const dense = (name: string, x: tfl.SymbolicTensor, seed: number) =>
      tfl.layers
        .dense({
          units: name === 'out' ? 1 : 3,
          name,
          kernelInitializer: tfl.initializers.randomNormal({stddev: 0.5, seed}),
        })
        .apply(x) as tfl.SymbolicTensor;
    // The weights are made branch by branch, and a loaded model makes them level by level.
    const left = dense('left_2', dense('left_1', input, 1), 2);
    const right = dense('right_2', dense('right_1', input, 3), 4);
    const sum = tfl.layers.add().apply([left, right]) as tfl.SymbolicTensor;
    return tfl.model({inputs: input, outputs: dense('out', sum, 5)});
  };
  const run = (
    model: tfl.LayersModel,
    optimizer: tf.Optimizer,
    from: number,
    to: number,
  ) =>
    tf.tidy(() => {
      for (let step = from; step < to; step++)
        optimizer.minimize(() => lossOf(model, batchOf(step)));
    });
  /** Only the variables of one model may be there. */
  const expected = await (async () => {
    const model = start();
    const optimizer = tf.train.momentum(0.05, 0.9);
    run(model, optimizer, 0, 8);
    const weights = await weightsOf(model);
    model.dispose();
    optimizer.dispose();
    return weights;
  })();
  const first = start();
  const firstOptimizer = tf.train.momentum(0.05, 0.9);
  run(first, firstOptimizer, 0, 4);
  const checkpoint = new ModelCheckpoint({path});
  await checkpoint.save(first, {epoch: 0, step: 4, optimizer: firstOptimizer});
  first.dispose();
  firstOptimizer.dispose();

  const {model, optimizer, step} = await resume(path);
  run(model, optimizer, step, 8);
  expect(await weightsOf(model)).toEqual(expected);
});

test('what is frozen stays so', async () => {
  const start = () => {
    const inner = encoder(
      'inner',
      tfl.layers.dense({units: 4, name: 'in', kernelInitializer: 'ones'}),
    );
    const model = compile(
      seededModel(inner, kinds[0][1]({name: 'bn', trainable: false})),
    );
    inner.trainable = false;
    return compile(model);
  };
  const whole = start();
  await fitDataset(whole, dataset(3), {epochs: 2});
  await fitDataset(start(), dataset(3), {callbacks: [new ModelCheckpoint({path})]});
  const {model, epoch} = await resume(path);
  expect(model.getLayer('inner').trainable).toBe(false);
  await fitDataset(model, dataset(3, 1), {epochs: 2, initialEpoch: epoch});
  expect(await weightsOf(model)).toEqual(await weightsOf(whole));
});

test('a ResBatchNorm that was thawed in a frozen model stays so', async () => {
  const start = () => {
    const [, makeNorm] = kinds[0];
    const [thawed, frozen] = ['thawed', 'frozen'].map(name => makeNorm({name}));
    const inner = encoder('inner', thawed, frozen);
    const model = seededModel(inner);
    inner.trainable = false;
    thawed.trainable = true;
    return compile(model);
  };
  const whole = start();
  await fitDataset(whole, dataset(3), {epochs: 2});
  await fitDataset(start(), dataset(3), {callbacks: [new ModelCheckpoint({path})]});
  const {model, epoch} = await resume(path);
  const {layers} = model.getLayer('inner') as tfl.LayersModel;
  expect(layers.slice(1).map(({trainable}) => trainable)).toEqual([true, false]);
  await fitDataset(model, dataset(3, 1), {epochs: 2, initialEpoch: epoch});
  expect(await weightsOf(model)).toEqual(await weightsOf(whole));
});

test('weights with a constraint, which training does not apply, and loading would', async () => {
  const model = compile(
    denseModel(
      tfl.layers.dense({
        units: 4,
        name: 'constrained',
        kernelConstraint: tfl.constraints.maxNorm({maxValue: 0.01}),
      }),
    ),
  );
  await new ModelCheckpoint({path}).save(model, {epoch: 0, step: 0});
  const saved = await weightsOf(model);
  expect(await weightsOf((await resume(path)).model)).toEqual(saved);
});

test('what was set after the optimizer was made', async () => {
  const model = compile(seededModel());
  const optimizer = tf.train.momentum(0.01, 0.9);
  model.compile({optimizer, loss: 'meanSquaredError', metrics: ['mse']});
  optimizer.setLearningRate(0.125);
  // Has no effect on steps, in TensorFlow.js 4.22.
  optimizer.setMomentum(0.5);
  await new ModelCheckpoint({path}).save(model, {epoch: 0, step: 0});
  const resumed = await resume(path);
  expect(resumed.optimizer.getConfig()).toMatchObject({
    learningRate: 0.125,
    momentum: 0.5,
  });
  expect(resumed.model.metricsNames).toEqual(['loss', 'mse']);
  for (const trained of [model, resumed.model])
    await fitDataset(trained, dataset(3), {epochs: 1});
  expect(await weightsOf(resumed.model)).toEqual(await weightsOf(model));
});

test('a loss of the user is passed again', async () => {
  const loss = (y: tf.Tensor, z: tf.Tensor) => tf.mean(tf.abs(tf.sub(y, z)), -1);
  const model = seededModel();
  model.compile({loss, optimizer: 'adam'});
  await new ModelCheckpoint({path}).save(model, {epoch: 0, step: 0});
  await expect(resume(path)).rejects.toThrow(
    "The model was compiled with a function as its loss, which a checkpoint can't hold: " +
      'pass it, as in resume(path, {loss})',
  );
  const resumed = await resume(path, {loss});
  for (const trained of [model, resumed.model])
    await fitDataset(trained, dataset(3), {epochs: 1});
  expect(await weightsOf(resumed.model)).toEqual(await weightsOf(model));
});

test('an optimizer of the user is asked by getWeights and setWeights', async () => {
  class Counted extends tf.SGDOptimizer {
    static override get className() {
      return 'Counted';
    }
    total = tf.scalar(0);

    override applyGradients(gradients: tf.NamedTensorMap) {
      super.applyGradients(gradients);
      const total = tf.keep(tf.add(this.total, 1)) as tf.Scalar;
      this.total.dispose();
      this.total = total;
    }

    override async getWeights() {
      return [...(await super.getWeights()), {name: 'total', tensor: this.total}];
    }

    override async setWeights([iterations, {tensor}]: Awaited<
      ReturnType<tf.Optimizer['getWeights']>
    >) {
      await super.setWeights([iterations]);
      this.total.dispose();
      this.total = tf.clone(tensor) as tf.Scalar;
    }
  }
  tf.serialization.registerClass(Counted);
  const model = seededModel();
  model.compile({optimizer: new Counted(0.01), loss: 'meanSquaredError'});
  await fitDataset(model, dataset(3), {callbacks: [new ModelCheckpoint({path})]});
  const {optimizer} = await resume(path);
  expect(optimizer).toBeInstanceOf(Counted);
  expect(optimizer.iterations).toBe(3);
  await expect((optimizer as Counted).total).toBeAllclose([3]);
});

test('what fails leaks nothing', async () => {
  class Refusing extends tf.SGDOptimizer {
    static override get className() {
      return 'Refusing';
    }

    override async setWeights(): Promise<void> {
      throw new Error('no weights for me');
    }
  }
  tf.serialization.registerClass(Refusing);
  const fails = async (optimizer: tf.Optimizer, loss: string, message: string) => {
    const model = seededModel(kinds[0][1]());
    model.compile({optimizer, loss: 'meanSquaredError'});
    await fitDataset(model, dataset(3), {
      callbacks: [new ModelCheckpoint({path, overwrite: true})],
    });
    const {numTensors} = tf.memory();
    await expect(resume(path, {loss})).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(numTensors);
  };
  await fails(tf.train.adam(0.01), 'nonsense', 'Unknown loss nonsense');
  await fails(new Refusing(0.01), 'meanSquaredError', 'no weights for me');
});

test.each([
  ['SGD', () => tf.train.sgd(0.01)],
  ['Adamax', () => tf.train.adamax(0.01, 0.9, 0.999)],
])('with %s nothing leaks', async (_name, makeOptimizer) => {
  const model = seededModel(kinds[0][1]());
  model.compile({optimizer: makeOptimizer(), loss: 'meanSquaredError'});
  await fitDataset(model, dataset(3), {});
  const {numTensors} = tf.memory();
  await fitDataset(model, dataset(3), {
    callbacks: [new ModelCheckpoint({path, everySteps: 1})],
  });
  expect(tf.memory().numTensors).toBe(numTensors);
  const resumed = await resume(path);
  resumed.model.dispose();
  resumed.optimizer.dispose();
  expect(tf.memory().numTensors).toBe(numTensors);
});
