import os from 'node:os';

import {setReplicaGroup} from '@resbatchnorm/layer/introspection';
import {loadTensorFlow} from '@resbatchnorm/native';
import {mpiLaunch} from '@resbatchnorm/native/mpi';

import {alone} from './alone.js';
import {DistributedError} from './distributed_error.js';
import type {Engine} from './engine.js';
import {connectMpi} from './mpi/mpi_engine.js';
import {Replicas} from './replicas.js';
import {connectTensorFlow} from './tensorflow/collective_engine.js';
import {type Cluster, parseTfConfig} from './tensorflow/tf_config.js';

export interface ConnectOptions {
  /**
   * How long a replica waits for the others in one call, before it ends the training. Longer than
   * what one of them does alone between two steps: to load data, to evaluate. Default 60.
   */
  timeoutSeconds?: number;
  /**
   * How large this replica's part of each batch is, in relation to the others' parts: 2 for a
   * machine that is twice as fast, 0 for one that takes no examples. Default 1.
   */
  weight?: number;
}

/**
 * Connects this process to the other replicas of a data-parallel training, and loads TensorFlow.
 * Call it before anything else that loads tfjs-node.
 *
 * - Started by mpirun, of OpenMPI, MPICH or Intel MPI: over MPI.
 * - With the environment variable TF_CONFIG, as for Keras's MultiWorkerMirroredStrategy: over
 *   TensorFlow's own collective ops.
 * - With neither: there is one replica, and the same program trains alone.
 *
 * Replicas on one machine share its cores: unless TF_NUM_INTRAOP_THREADS is set, each gets its
 * part of them. A second call gives the same replicas.
 *
 * @throws DistributedError if the others can't be reached, or the environment names two engines.
 * @throws NativeError if TensorFlow does not load.
 * @throws RangeError if timeoutSeconds is not a positive number, or weight a negative one.
 */
export async function connect({
  timeoutSeconds = 60,
  weight = 1,
}: ConnectOptions = {}): Promise<Replicas> {
  if (!(timeoutSeconds > 0)) {
    throw new RangeError(
      `connect: timeoutSeconds must be a number over 0. Received: ${timeoutSeconds}`,
    );
  }
  if (!(weight >= 0 && weight < Infinity)) {
    throw new RangeError(`connect: weight must be a number from 0. Received: ${weight}`);
  }
  return (connected ??= connectOnce(timeoutSeconds, weight));
}

/**
 * Whether mpirun or TF_CONFIG says that this process is one of several, for programs that load
 * another backend where it is not.
 */
export function hasOtherReplicas(): boolean {
  const launch = mpiLaunch();
  return launch === undefined ? Boolean(process.env.TF_CONFIG) : launch.size > 1;
}

let connected: Promise<Replicas> | undefined;

async function connectOnce(timeoutSeconds: number, weight: number): Promise<Replicas> {
  const engine = await engineOf(timeoutSeconds);
  const call = {name: 'weights of the replicas', step: 0};
  const weights = engine.gather(call, Float64Array.of(weight)).map(([first]) => first);
  if (!weights.some(one => one > 0)) {
    throw new RangeError(
      `connect: a weight of one replica must be over 0. Received: ${weights.join(', ')}`,
    );
  }
  const replicas = new Replicas(engine, weights);
  if (replicas.size > 1) setReplicaGroup(replicas);
  return replicas;
}

async function engineOf(timeoutSeconds: number): Promise<Engine> {
  const launch = mpiLaunch();
  const {TF_CONFIG} = process.env;
  if (launch !== undefined && launch.size > 1 && TF_CONFIG) {
    throw new DistributedError(
      'mpirun started this process, and TF_CONFIG is set: one of them must go, as each names ' +
        `the other replicas. Received: TF_CONFIG ${TF_CONFIG}`,
    );
  }
  if (launch !== undefined) {
    shareCores(launch.localSize);
    const engine = connectMpi({timeoutSeconds});
    await loadTensorFlow();
    return engine;
  }
  if (TF_CONFIG) {
    const cluster = parseTfConfig(TF_CONFIG);
    shareCores(replicasOnThisMachine(cluster));
    return connectTensorFlow({cluster, timeoutSeconds});
  }
  await loadTensorFlow();
  return alone;
}

function shareCores(replicas: number): void {
  const threads = Math.max(1, Math.floor(os.availableParallelism() / replicas));
  process.env.TF_NUM_INTRAOP_THREADS ??= String(threads);
  process.env.TF_NUM_INTEROP_THREADS ??= String(threads);
}

function replicasOnThisMachine({addresses, rank}: Cluster): number {
  const hosts = addresses.map(address => address.slice(0, address.lastIndexOf(':')));
  return hosts.filter(host => host === hosts[rank]).length;
}
