/**
 * One of the processes that mpirun starts: trains a network together with the others and, in
 * turns, each for itself. The first prints what it took, as JSON.
 */
import {connect, type Replicas} from '@resbatchnorm/distributed';
import {setReplicaGroup} from '@resbatchnorm/layer/introspection';
import {fuseUpdates} from '@resbatchnorm/native/optimizers';
import * as tf from '@tensorflow/tfjs-core';

import {distributedNetworks, type Network} from './cases.js';
import {makeBatch, makeModel} from './networks.js';

/** Milliseconds, by repetition. */
export interface DistributedTimes {
  engine: string;
  joined: number[];
  independent: number[];
  collectives: CollectiveTimes[];
}

export interface CollectiveTimes {
  call: 'gather' | 'sum';
  /** Of each replica. */
  values: number;
  milliseconds: number[];
}

const warmUpSteps = 3;
const gathered = [1, 129, 1025];
const summed = [1e4, 1e5, 1e6];

async function main(networkName: string, rounds: number): Promise<void> {
  const network = distributedNetworks.find(({name}) => name === networkName)!;
  const replicas = await connect();
  const steps = {
    joined: training(network, replicas, true),
    independent: training(network, replicas, false),
  };
  const times: DistributedTimes = {
    engine: replicas.engineName,
    joined: [],
    independent: [],
    collectives: [],
  };
  for (let round = -warmUpSteps; round < rounds; round++) {
    for (const name of ['joined', 'independent'] as const) {
      const milliseconds = await time(replicas, steps[name]);
      if (round >= 0) times[name].push(milliseconds);
    }
  }
  if (replicas.size > 1) times.collectives = timeCollectives(replicas);
  if (replicas.isChief) process.stdout.write(`${JSON.stringify(times)}\n`);
}

function training(
  network: Network,
  replicas: Replicas,
  isJoined: boolean,
): () => Promise<unknown> {
  const model = makeModel(network, 'res');
  const momentum = tf.train.momentum(1e-6, 0.9);
  const optimizer = fuseUpdates(isJoined ? replicas.optimizer(momentum) : momentum);
  model.compile({optimizer, loss: 'categoricalCrossentropy'});
  const {xs, ys} = makeBatch(network);
  const step = () => model.trainOnBatch(xs, ys);
  return () => {
    const isOfSeveral = isJoined && replicas.size > 1;
    setReplicaGroup(isOfSeveral ? replicas : null);
    return isOfSeveral ? replicas.step(network.batchSize, step) : step();
  };
}

/** From when all begin to when the last is done. */
async function time(replicas: Replicas, act: () => unknown): Promise<number> {
  replicas.gather('begin', new Float64Array(1));
  const start = performance.now();
  await act();
  replicas.gather('end', new Float64Array(1));
  return performance.now() - start;
}

function timeCollectives(replicas: Replicas): CollectiveTimes[] {
  const timeCalls = (run: () => unknown) =>
    Array.from({length: 50}, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    });
  const gathers = gathered.map((count): CollectiveTimes => {
    const values = new Float64Array(count);
    const milliseconds = timeCalls(() => replicas.gather('values', values));
    return {call: 'gather', values: count, milliseconds};
  });
  const sums = summed.map((count): CollectiveTimes => {
    const variable = tf.variable(tf.zeros([count]));
    const optimizer = replicas.optimizer(tf.train.sgd(0));
    const gradients = [{name: variable.name, tensor: tf.ones([count])}];
    const milliseconds = timeCalls(() =>
      replicas.step(1, () => optimizer.applyGradients(gradients)),
    );
    return {call: 'sum', values: count, milliseconds};
  });
  return [...gathers, ...sums];
}

const [networkName, rounds] = process.argv.slice(2);
void main(networkName, Number(rounds));
