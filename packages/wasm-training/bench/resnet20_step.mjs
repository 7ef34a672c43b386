// Time of a training step of a ResNet-20 (CIFAR-style, without normalization, 32×32×3, momentum
// optimizer) on the wasm backend with this package's kernels, and on the cpu backend.
//
//   npm run build && npm run bench -- --help
import {parseArgs} from 'node:util';

import '@resbatchnorm/wasm-training';
import {setThreadedWasmBackend} from '@resbatchnorm/wasm-training/node_threads';
import '@tensorflow/tfjs-backend-cpu';
import {getThreadsCount} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

const usage = `Usage: npm run bench -- [options]

  --steps N       timed training steps on wasm (default 15)
  --batch-size N  images a step on wasm (default 32)
  --threads N     threads of the wasm backend, 1 to 8 (default: 1, as tfjs itself)
  --skip-cpu      leave out the cpu backend, which takes seconds for the one image of its step
  --json          print JSON instead of a table
  --help          print this text`;

const IMAGE_SIZE = 32;
const CLASSES = 10;
const CPU_BATCH_SIZE = 1;

function readOptions() {
  try {
    const {values} = parseArgs({
      options: {
        steps: {type: 'string', default: '15'},
        'batch-size': {type: 'string', default: '32'},
        threads: {type: 'string', default: '1'},
        'skip-cpu': {type: 'boolean', default: false},
        json: {type: 'boolean', default: false},
        help: {type: 'boolean', default: false},
      },
    });
    return {
      steps: positiveInteger('--steps', values.steps),
      batchSize: positiveInteger('--batch-size', values['batch-size']),
      threads: positiveInteger('--threads', values.threads),
      skipCpu: values['skip-cpu'],
      json: values.json,
      help: values.help,
    };
  } catch (error) {
    console.error(error.message);
    process.exit(2);
  }
}

function positiveInteger(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`${name} expects a positive integer, but received '${text}'.`);
  }
  return value;
}

/** Three stages of three residual blocks, the later stages begun by a stride of 2. */
function resNet20() {
  const conv = (x, filters, kernelSize, strides) =>
    tfl.layers
      .conv2d({
        filters,
        kernelSize,
        strides,
        padding: 'same',
        kernelInitializer: 'heNormal',
      })
      .apply(x);
  const relu = x => tfl.layers.reLU().apply(x);
  const input = tfl.input({shape: [IMAGE_SIZE, IMAGE_SIZE, 3]});
  let x = relu(conv(input, 16, 3, 1));
  for (const [stage, filters] of [16, 32, 64].entries()) {
    for (let block = 0; block < 3; block++) {
      const strides = stage > 0 && block === 0 ? 2 : 1;
      const shortcut = strides === 1 ? x : conv(x, filters, 1, strides);
      const residual = conv(relu(conv(x, filters, 3, strides)), filters, 3, 1);
      x = relu(tfl.layers.add().apply([residual, shortcut]));
    }
  }
  x = tfl.layers.globalAveragePooling2d({}).apply(x);
  const logits = tfl.layers.dense({units: CLASSES}).apply(x);
  const model = tfl.model({inputs: input, outputs: logits});
  model.compile({
    optimizer: tf.train.momentum(1e-4, 0.9),
    loss: (labels, predictions) => tf.losses.softmaxCrossEntropy(labels, predictions),
  });
  return model;
}

/** A model and a batch on a backend; `step` trains once and resolves to the milliseconds. */
async function training(backend, batchSize) {
  await tf.setBackend(backend);
  const model = resNet20();
  const x = tf.randomNormal([batchSize, IMAGE_SIZE, IMAGE_SIZE, 3]);
  const labels = Array.from({length: batchSize}, (_, i) => i % CLASSES);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES));
  return {
    batchSize,
    times: [],
    async step() {
      await tf.setBackend(backend);
      const start = performance.now();
      await model.trainOnBatch(x, y);
      return performance.now() - start;
    },
  };
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

function summary(name, {batchSize, times}) {
  const step = median(times);
  return {
    backend: name,
    batchSize,
    steps: times.length,
    medianStepMs: step,
    fastestStepMs: Math.min(...times),
    medianImageMs: step / batchSize,
  };
}

async function main() {
  const options = readOptions();
  if (options.help) {
    console.log(usage);
    return;
  }
  if (options.threads === 1) await tf.setBackend('wasm');
  else await setThreadedWasmBackend(options.threads);

  const wasm = await training('wasm', options.batchSize);
  for (let i = 0; i < 2; i++) await wasm.step(); // warm up
  const cpu = options.skipCpu ? null : await training('cpu', CPU_BATCH_SIZE);
  for (let i = 0; i < options.steps; i++) {
    wasm.times.push(await wasm.step());
    if (cpu != null && i === options.steps >> 1) cpu.times.push(await cpu.step());
  }

  const threads = getThreadsCount();
  const rows = [summary(`wasm, ${threads} thread${threads === 1 ? '' : 's'}`, wasm)];
  if (cpu != null) rows.push(summary('cpu', cpu));
  if (options.json) {
    console.log(JSON.stringify(rows, null, 2));
    return;
  }
  console.log('A training step of ResNet-20, 32×32×3, without normalization:');
  console.table(
    Object.fromEntries(
      rows.map(row => [
        row.backend,
        {
          'batch size': row.batchSize,
          'steps timed': row.steps,
          'median ms a step': Number(row.medianStepMs.toFixed(1)),
          'fastest ms a step': Number(row.fastestStepMs.toFixed(1)),
          'median ms an image': Number(row.medianImageMs.toFixed(2)),
        },
      ]),
    ),
  );
}

await main();
