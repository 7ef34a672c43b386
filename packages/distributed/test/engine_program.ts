/**
 * One of several replicas, by TF_CONFIG or by mpirun: `program <what> [seconds] [calls]` makes the
 * calls of every kind, and the last rank does at step 3 what the first argument says.
 */
import {loadTensorFlow} from '@resbatchnorm/native';
import {mpiLaunch} from '@resbatchnorm/native/mpi';
import * as tf from '@tensorflow/tfjs-core';

import type {Engine} from '../src/engine';
import {connectMpi} from '../src/mpi/mpi_engine';
import {connectTensorFlow} from '../src/tensorflow/collective_engine';
import {parseTfConfig} from '../src/tensorflow/tf_config';

const [what, seconds = '60', calls = '2000'] = process.argv.slice(2);

let engine: Engine;
let isLast = false;

async function main(): Promise<void> {
  if (what === 'loads TensorFlow first') await loadTensorFlow();
  const options = {timeoutSeconds: Number(seconds)};
  if (process.env.TF_CONFIG) {
    engine = await connectTensorFlow({
      cluster: parseTfConfig(process.env.TF_CONFIG),
      ...options,
    });
  } else {
    // Without the advice to use tfjs-node, which these calls do well without.
    tf.env().set('IS_TEST', true);
    await import('@tensorflow/tfjs-backend-cpu');
    if (what in beforeConnecting && mpiLaunch()?.rank === 1) beforeConnecting[what]();
    engine = connectMpi(options);
  }
  isLast = engine.rank === engine.size - 1;
  if (what in programs) {
    programs[what]();
  } else {
    train();
    engine.close(false);
  }
}

const beforeConnecting: Record<string, () => void> = {
  'exits before': () => process.exit(0),
  'freezes before': () => process.kill(process.pid, 'SIGSTOP'),
};

const programs: Record<string, () => void> = {
  'gives values'() {
    // What the first calls keep, they keep for all.
    values();
    const {numTensors} = tf.memory();
    const result = values();
    const leakedTensors = tf.memory().numTensors - numTensors;
    console.log(JSON.stringify({...result, leakedTensors}));
    engine.close(false);
  },
  'makes many calls'() {
    console.log(JSON.stringify(memory()));
    engine.close(false);
  },
  'ends without close'() {
    train();
  },
  'calls after close'() {
    engine.close(false);
    engine.gather({name: 'more', step: 1}, new Float64Array(1));
  },
};

const misdeeds: Record<string, () => void> = {
  'is killed': () => process.kill(process.pid, 'SIGKILL'),
  freezes: () => process.kill(process.pid, 'SIGSTOP'),
  throws: () => {
    throw new Error('a bug');
  },
  'exits with 0': () => process.exit(0),
  'exits with 1': () => process.exit(1),
  'makes no call': () => sleep(Number(seconds) + 2),
  'is late': () => sleep(2),
};

function train(): void {
  for (let step = 1; step <= 5; step++) {
    const deviates = isLast && step === 3;
    if (deviates) misdeeds[what]?.();
    if (deviates && what === 'catches its error') {
      try {
        engine.gather({name: 'moments of another', step}, new Float64Array(129));
      } catch {
        process.exit(0);
      }
    }
    const name =
      deviates && what === 'has another name' ? 'moments of bn_2' : 'moments of bn_1';
    const length = deviates && what === 'has another length' ? 65 : 129;
    if (!(deviates && what === 'skips a call')) {
      engine.gather({name, step}, new Float64Array(length));
    }
    const size = deviates && what === 'has other gradients' ? 999 : 1000;
    tf.tidy(() => engine.weightedSums({name: 'gradients', step}, [tf.ones([size])], 0.5));
  }
}

function values() {
  const {rank, size, name} = engine;
  // A NaN that says more than that it is one.
  const nan = new Float64Array(Uint8Array.of(rank, 1, 2, 3, 4, 5, 0xf4, 0x7f).buffer);
  const few = Float64Array.of(rank, -0, 1e300, Infinity, ...nan);
  const gatheredFew = engine.gather({name: 'few', step: 1}, few);
  const many = Float64Array.from({length: 5000}, (_, i) => i + rank / 8);
  const gatheredMany = engine.gather({name: 'many', step: 1}, many);
  const none = engine.gather({name: 'none', step: 1}, new Float64Array(0));
  const sums = tf.tidy(() =>
    engine
      .weightedSums(
        {name: 'gradients', step: 1},
        [tf.tensor2d([[1, 2, rank]]), tf.scalar(isLast && size > 1 ? NaN : 4)],
        isLast && size > 1 ? 0 : 2 ** -rank,
      )
      .map(sum => ({shape: sum.shape, values: [...sum.dataSync()]})),
  );
  const bytes = Uint8Array.from({length: 2 ** 22 + 5}, (_, i) => i * 31 + rank);
  engine.broadcast({name: 'weights', step: 0}, bytes);
  return {
    rank,
    size,
    name,
    few: gatheredFew.map(one => Buffer.from(one.buffer).toString('hex')),
    manyAreRight: gatheredMany.map(
      (one, from) =>
        one.length === 5000 && one.every((value, i) => value === i + from / 8),
    ),
    none: none.map(one => one.length),
    sums,
    noSums: engine.weightedSums({name: 'nothing', step: 1}, [], 1).length,
    broadcastIsRight: bytes.every((byte, i) => byte === ((i * 31) & 255)),
  };
}

/** How much the process grows by so many calls of each kind. */
function memory() {
  const tensors = [tf.ones([3, 3, 16, 16]), tf.ones([16])];
  const after = (steps: number) => {
    for (let step = 1; step <= steps; step++) {
      engine.gather({name: 'moments', step}, new Float64Array(129));
      tf.dispose(engine.weightedSums({name: 'gradients', step}, tensors, 0.5));
    }
    return process.memoryUsage().rss / 2 ** 20;
  };
  const before = after(500);
  const numTensors = tf.memory().numTensors;
  return {
    grownMb: after(Number(calls)) - before,
    leakedTensors: tf.memory().numTensors - numTensors,
  };
}

function sleep(duration: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, duration * 1000);
}

void main();
