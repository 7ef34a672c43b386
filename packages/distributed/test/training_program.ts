/**
 * One of several replicas, by TF_CONFIG or by mpirun, or a process alone:
 * `program <what> <file>` trains small models, and prints a line of JSON.
 */
import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';

import {UpdateOpsCheck} from '@resbatchnorm/callbacks';
import {hasCheckpoints, ModelCheckpoint, resume} from '@resbatchnorm/callbacks/node';
import {ResBatchNorm} from '@resbatchnorm/layer';
import {setReplicaGroup} from '@resbatchnorm/layer/introspection';
import {fuseUpdates} from '@resbatchnorm/native/optimizers';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {connect} from '../src';
import type {Engine} from '../src/engine';
import {Replicas} from '../src/replicas';

const [what, file] = process.argv.slice(2);

let replicas: Replicas;
/** Whether this replica is the one that does what the program is about. */
let isLast: boolean;

async function main(): Promise<void> {
  replicas = await connect({timeoutSeconds: 30});
  isLast = replicas.rank === replicas.size - 1;
  const result = await programs[what]();
  console.log(JSON.stringify({rank: replicas.rank, ...result}));
}

/** Values from −1 to 1, the same everywhere. */
function values(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({length: count}, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

type Norm = 'synchronized' | 'own' | 'built in' | 'none';

function norm(kind: Norm, name: string): tfl.layers.Layer[] {
  if (kind === 'none') return [];
  if (kind === 'built in') return [tfl.layers.batchNormalization({name, momentum: 0.9})];
  const synchronized = kind === 'synchronized';
  return [new ResBatchNorm({name, momentum: 0.9, synchronized})];
}

/** [batch, 6, 6, 2] → [batch, 3]; smooth, so that rounding stays as small as it is. */
function network(kind: Norm): tfl.Sequential {
  const glorot = (seed: number) => tfl.initializers.glorotUniform({seed});
  const model = tfl.sequential({name: 'network'});
  for (const layer of [
    tfl.layers.conv2d({
      name: 'conv',
      filters: 4,
      kernelSize: 3,
      kernelInitializer: glorot(1),
      inputShape: [6, 6, 2],
    }),
    ...norm(kind, 'bn_1'),
    tfl.layers.activation({name: 'tanh', activation: 'tanh'}),
    tfl.layers.flatten({name: 'flatten'}),
    tfl.layers.dense({name: 'hidden', units: 8, kernelInitializer: glorot(2)}),
    ...norm(kind, 'bn_2'),
    tfl.layers.dense({
      name: 'scores',
      units: 3,
      activation: 'softmax',
      kernelInitializer: glorot(3),
    }),
  ]) {
    model.add(layer);
  }
  return model;
}

function compiled(kind: Norm, optimizer: tf.Optimizer = tf.train.momentum(0.005, 0.9)) {
  const model = network(kind);
  const loss = 'categoricalCrossentropy';
  model.compile({optimizer, loss, metrics: ['accuracy']});
  return model;
}

/** Batches of 32, and one of 3. */
function batches(size: number, seed = 1) {
  const count = (size - 1) * 32 + 3;
  const xs = values(count * 72, seed);
  const labels = values(count, seed + 1).map(value => Math.floor((value + 1) * 1.499));
  return {
    size,
    iterator: async () => {
      let next = 0;
      return {
        next: async () => {
          if (next === size) return {value: null as never, done: true as const};
          const start = 32 * next++;
          const end = Math.min(start + 32, count);
          const x = tf.tensor4d(xs.slice(72 * start, 72 * end), [end - start, 6, 6, 2]);
          const y = tf.tidy(
            () =>
              tf.oneHot(
                tf.tensor1d(labels.slice(start, end), 'int32'),
                3,
                1,
                0,
                'float32',
              ) as tf.Tensor2D,
          );
          return {value: {xs: x, ys: y}, done: false as const};
        },
      };
    },
  };
}

const weightsOf = (model: tfl.LayersModel) =>
  model.weights.flatMap(weight => [...weight.read().dataSync()]);

const hashOf = (numbers: number[]) =>
  createHash('sha1').update(Float64Array.from(numbers)).digest('hex').slice(0, 12);

/** Also in the bits of what is no number. */
function largestDifference(a: number[], b: number[]): number {
  if (a.length !== b.length) return Infinity;
  return a.reduce((most, value, i) => {
    const difference = Math.abs(value - b[i]);
    return difference <= most ? most : difference;
  }, 0);
}

interface Run {
  losses: number[];
  accuracies: number[];
  history: number[];
  weights: number[];
}

/** Ten steps, and what became of them. */
async function tenSteps(model: tfl.LayersModel): Promise<Run> {
  const run: Run = {losses: [], accuracies: [], history: [], weights: []};
  const {history} = await replicas.fitDataset(model, batches(10), {
    epochs: 1,
    verbose: 0,
    callbacks: {
      onBatchEnd: async (_, logs) => {
        run.losses.push(logs!.loss);
        run.accuracies.push(logs!.acc);
      },
    },
  });
  run.history = Object.values(history).flat() as number[];
  run.weights = weightsOf(model);
  return run;
}

const cases: Record<string, () => tfl.LayersModel> = {
  'no norm, adam': () => compiled('none', fuseUpdates(tf.train.adam(0.001))),
  'synchronized, momentum': () => compiled('synchronized'),
};

/** Of 32 examples: 16 + 16, 20 + 12, 31 + 1, 32 + 0, or of more replicas. */
const splits: Record<number, number[][]> = {
  1: [[1]],
  2: [
    [1, 1],
    [20, 12],
    [31, 1],
    [1, 0],
  ],
  4: [
    [1, 1, 1, 1],
    [10, 10, 8, 4],
    [29, 1, 1, 1],
    [1, 0, 1, 0],
  ],
};

/** What the error says that fn ends with. */
async function messageOf(fn: () => unknown): Promise<string> {
  try {
    await fn();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return 'no error';
}

const quiet = {verbose: 0};

const programs: Record<string, () => Promise<object> | object> = {
  /** Alone it writes what it got to the file; several compare with that. */
  async 'ten steps'() {
    const engine = (replicas as unknown as {engine: Engine}).engine;
    const results: Record<string, unknown> = {};
    for (const weights of splits[replicas.size]) {
      replicas = new Replicas(engine, weights);
      if (replicas.size > 1) setReplicaGroup(replicas);
      for (const [name, make] of Object.entries(cases)) {
        const run = await tenSteps(make());
        if (replicas.size === 1) {
          results[name] = run;
          continue;
        }
        const alone = JSON.parse(readFileSync(file, 'utf8'))[name] as Run;
        results[`${name}, ${weights.join(' + ')}`] = {
          losses: largestDifference(run.losses, alone.losses),
          accuracies: largestDifference(run.accuracies, alone.accuracies),
          history: largestDifference(run.history, alone.history),
          weights: largestDifference(run.weights, alone.weights),
          hash: hashOf(Object.values(run).flat()),
        };
      }
    }
    if (replicas.size > 1) return {results};
    writeFileSync(file, JSON.stringify(results));
    return {};
  },

  /** Which of them ran, and on what. */
  async callbacks() {
    const calls: string[] = [];
    const tell = (name: string) => ({
      onEpochEnd: async (epoch: number, logs?: tfl.Logs) =>
        void calls.push(`${name} ${epoch} ${Object.keys(logs!).sort()}`),
    });
    const model = compiled('own');
    const {history} = await replicas.fitDataset(model, batches(2), {
      ...quiet,
      epochs: 2,
      validationData: batches(1, 5) as never,
      callbacks: [
        tell('object'),
        new tfl.CustomCallback(tell('instance')),
        {...tell('on the chief'), onChiefOnly: true},
        Object.assign(new tfl.CustomCallback(tell('instance on the chief')), {
          onChiefOnly: true,
        }),
      ] as never,
    });
    const evaluated = (await model.evaluateDataset(
      batches(1, 5) as never,
      {},
    )) as tf.Scalar[];
    return {
      calls,
      // Validation is after the moving statistics are averaged, and so what the model gives now.
      validationIsOfTheEnd:
        Math.abs((history.val_loss.at(-1) as number) - evaluated[0].dataSync()[0]) < 1e-6,
      hash: hashOf([...(Object.values(history).flat() as number[]), ...weightsOf(model)]),
    };
  },

  /** The last replica stops the training, in the middle of an epoch and at the end of one. */
  async stops() {
    const stepsOf = async (hook: 'onBatchEnd' | 'onEpochEnd', when: number) => {
      let steps = 0;
      let epochs = 0;
      const model = compiled('own');
      const stop = async (index: number) => {
        if (isLast && index === when) model.stopTraining = true;
      };
      await replicas.fitDataset(model, batches(4), {
        ...quiet,
        epochs: 3,
        callbacks: [
          {onBatchEnd: async () => void ++steps, onEpochEnd: async () => void ++epochs},
          {[hook]: stop},
        ] as never,
      });
      return [epochs, steps];
    };
    return {
      inEpoch: await stepsOf('onBatchEnd', 2),
      lastBatch: await stepsOf('onBatchEnd', 3),
      epochEnd: await stepsOf('onEpochEnd', 1),
    };
  },

  /** All but the chief begin anew, and get what it has. */
  async state() {
    const hashes: string[] = [];
    for (const make of [
      () => tf.train.adam(0.001),
      () => tf.train.adamax(0.001),
      () => tf.train.momentum(0.01, 0.9, true),
      () => tf.train.rmsprop(0.001, 0.9, 0.9, undefined, true),
      () => tf.train.adagrad(0.01),
      () => tf.train.adadelta(0.01),
      () => tf.train.sgd(0.01),
    ]) {
      const once = compiled('synchronized', make());
      await replicas.fitDataset(once, batches(2), {...quiet, epochs: 2});
      let model = compiled('synchronized', make());
      await replicas.fitDataset(model, batches(2), {...quiet, epochs: 1});
      const {isChief} = replicas;
      if (!isChief) model = compiled('synchronized', make());
      const initialEpoch = isChief ? 1 : 0;
      await replicas.fitDataset(model, batches(2), {...quiet, epochs: 2, initialEpoch});
      hashes.push(hashOf(weightsOf(once)), hashOf(weightsOf(model)));
    }
    return {hashes};
  },

  /** One epoch with checkpoints; the next one goes on from there. */
  async 'first epoch'() {
    const model = compiled('synchronized');
    await replicas.fitDataset(model, batches(3), {
      ...quiet,
      epochs: 1,
      callbacks: new ModelCheckpoint({path: file}),
    });
    return {hash: hashOf(weightsOf(model))};
  },

  /** By the chief alone, or by all. */
  async 'second epoch'() {
    const make = () => compiled('synchronized');
    const weights: number[][] = [];
    for (const resumes of [true, replicas.isChief]) {
      const {model, epoch} = resumes ? await resume(file) : {model: make(), epoch: 0};
      const options = {...quiet, epochs: 2, initialEpoch: epoch};
      await replicas.fitDataset(model, batches(3), options);
      weights.push(weightsOf(model));
    }
    const whole = make();
    await replicas.fitDataset(whole, batches(3), {...quiet, epochs: 2});
    return {
      differences: weights.map(one => largestDifference(one, weightsOf(whole))),
      hash: hashOf(weights.flat()),
    };
  },

  /** Trains until a replica is killed, in the middle of whatever it does then. */
  async 'trains without end'() {
    const [victim, seconds] = process.argv.slice(4).map(Number);
    if (replicas.rank === victim) {
      spawn('sh', ['-c', `sleep ${seconds}; kill -KILL ${process.pid}`]);
    }
    await replicas.fitDataset(compiled('synchronized'), batches(3), {
      ...quiet,
      epochs: 1e6,
      callbacks: new ModelCheckpoint({path: file, everySteps: 1}),
    });
    return {};
  },

  /** What is left of that. */
  async 'loads a checkpoint'() {
    if (!(await hasCheckpoints(file))) return {step: 0};
    const {model, step} = await resume(file);
    const isFinite = weightsOf(model).every(Number.isFinite);
    return {step: isFinite ? step : NaN};
  },

  /** A statistic that one replica writes for itself. */
  async checksums() {
    const found: object[] = [];
    const check = () =>
      new UpdateOpsCheck({
        onViolation: violations =>
          void found.push(
            ...violations
              .filter(({severity}) => severity === 'error')
              .map(({layer, message}) => [layer, message]),
          ),
      });
    const train = (model: tfl.LayersModel, ...callbacks: object[]) =>
      replicas.fitDataset(model, batches(2), {
        ...quiet,
        epochs: 1,
        batchesPerEpoch: 2,
        callbacks: [...callbacks, check()] as never,
      });
    await train(compiled('synchronized'));
    await train(compiled('own'));
    await train(compiled('built in'));
    const frozen = compiled('own');
    frozen.getLayer('bn_1').trainable = false;
    await train(frozen);
    const healthy = found.splice(0).length;
    const model = compiled('synchronized');
    await train(model, {
      onEpochEnd: async () => {
        const [gamma, beta, , variance] = model.getLayer('bn_2').getWeights();
        const mean = tf.fill([8], 0.5);
        if (isLast) model.getLayer('bn_2').setWeights([gamma, beta, mean, variance]);
      },
    });
    return {healthy, found};
  },

  /** Errors that all replicas find out together, each before its first step. */
  async differences() {
    const train = (
      model: tfl.LayersModel,
      data = batches(2),
      args: Partial<tfl.ModelFitDatasetArgs<never>> = {},
    ) =>
      messageOf(() => replicas.fitDataset(model, data, {...quiet, epochs: 1, ...args}));
    return {
      data: await train(compiled('none'), batches(2, isLast ? 9 : 1)),
      model: await train(compiled(isLast ? 'none' : 'own')),
      optimizer: await train(compiled('none', tf.train.sgd(isLast ? 0.2 : 0.1))),
      epochs: await train(compiled('none'), batches(2), {epochs: isLast ? 3 : 2}),
      notCompiled: await train(network('none')),
      noEpochs: await train(compiled('none'), batches(2), {epochs: 0}),
      noDataset: await train(compiled('none'), null as never),
    };
  },

  /** A training that no model's fitDataset does. */
  async 'own loop'() {
    const weight = tf.variable(tf.tensor1d([1, -1]), true, 'weight');
    const optimizer = replicas.optimizer(tf.train.sgd(0.1));
    const xs = tf.tensor2d(values(10, 3), [5, 2]);
    const loss = (x: tf.Tensor2D) =>
      tf.mean(tf.square(tf.sub(tf.dot(x, weight), 1))) as tf.Scalar;
    // What the first calls keep, they keep for all.
    tf.tidy(() => {
      const nothing = [{name: weight.name, tensor: tf.zeros([2])}];
      replicas.step(1, () => optimizer.applyGradients(nothing));
    });
    const {numTensors} = tf.memory();
    const {part, examples} = replicas.shard({xs});
    replicas.step(examples, () => optimizer.minimize(() => loss(part.xs)));
    tf.dispose(part);
    const leaked = tf.memory().numTensors - numTensors;
    const weights = [...weight.dataSync()];
    const alone = tf.tidy(() => {
      const start = tf.variable(tf.tensor1d([1, -1]));
      const {grads} = tf.variableGrads(
        () => tf.mean(tf.square(tf.sub(tf.dot(xs, start), 1))) as tf.Scalar,
        [start],
      );
      return [...tf.sub(start, tf.mul(0.1, grads[start.name])).dataSync()];
    });
    const model = compiled('none');
    replicas.optimizer(model.optimizer);
    const asynchronous = replicas.step(replicas.rank + 1, () =>
      model.trainOnBatch(tf.ones([2, 6, 6, 2]), tf.ones([2, 3])),
    );
    const inStep = await messageOf(() => replicas.step(1, () => 0));
    await asynchronous;
    return {
      threads: process.env.TF_NUM_INTEROP_THREADS,
      isSame: (await connect()) === replicas,
      examples,
      leaked,
      difference: largestDifference(weights, alone),
      inStep,
      outside: await messageOf(() => optimizer.minimize(() => loss(xs as tf.Tensor2D))),
      negative: await messageOf(() => replicas.step(-1, () => 0)),
      unequal: await messageOf(() => replicas.shard([xs, tf.ones([4])])),
    };
  },

  /** Tensors that a training leaves behind. */
  async memory() {
    const model = compiled('synchronized');
    const train = () =>
      replicas.fitDataset(model, batches(3), {
        ...quiet,
        epochs: 2,
        validationData: batches(1) as never,
      });
    await train();
    const {numTensors} = tf.memory();
    await train();
    return {leaked: tf.memory().numTensors - numTensors};
  },

  /** The rest ends all replicas. */
  'changes the learning rate': () =>
    deviate(model => (model.optimizer as tf.SGDOptimizer).setLearningRate(0.5)),
  'throws in a callback': () =>
    deviate(() => {
      throw new Error('a bug');
    }),
  'has fewer batches': () =>
    replicas.fitDataset(compiled('own'), batches(isLast ? 2 : 4), {...quiet, epochs: 1}),
};

/** The last replica does so after the second batch. */
function deviate(misdeed: (model: tfl.LayersModel) => void) {
  const model = compiled('own', tf.train.sgd(0.1));
  return replicas.fitDataset(model, batches(4), {
    ...quiet,
    epochs: 1,
    callbacks: {
      onBatchEnd: async batch => {
        if (isLast && batch === 1) misdeed(model);
      },
    },
  });
}

void main();
