// Time of a training step of ResNet-20 (32×32×3, SGD with momentum 0.9) on the `tensorflow`
// backend with ResBatchNorm, with tf.layers.batchNormalization and without a norm; and of the
// same model in Keras 3. All in one run: a round takes one step of each.
//
//     npm run build && npm run bench -w packages/native -- --help
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {parseArgs} from 'node:util';

import {loadTensorFlow} from '@resbatchnorm/native';
import * as tf from '@tensorflow/tfjs-core';

import {resNet} from '../../resnet/dist/resnet.js';
import {readSetupRecord} from '../dist/setup_record.js';
import {requireTfjsNode} from '../dist/tfjs_node.js';

const usage = `Usage: npm run bench -w packages/native -- [options]

  --steps N       timed training steps of each model (default 30)
  --batch-size N  images a step (default 64)
  --python PATH   a Python that has keras and tensorflow
                  (default: the environment that \`resbatchnorm-native setup\` made)
  --json          print JSON instead of a table
  --help          print this text`;

const IMAGE_SHAPE = [32, 32, 3];
const CLASSES = 10;
// Small, so that the model without a norm stays finite over any number of steps.
const LEARNING_RATE = 1e-4;
const WARM_UP_ROUNDS = 3;

/** Undefined if they are wrong, which has been said then. */
function readOptions() {
  try {
    const {values} = parseArgs({
      options: {
        steps: {type: 'string', default: '30'},
        'batch-size': {type: 'string', default: '64'},
        python: {type: 'string'},
        json: {type: 'boolean', default: false},
        help: {type: 'boolean', default: false},
      },
    });
    return {
      ...values,
      steps: positiveInteger('--steps', values.steps),
      batchSize: positiveInteger('--batch-size', values['batch-size']),
    };
  } catch (error) {
    console.error(error.message);
    process.exitCode = 2;
    return undefined;
  }
}

function positiveInteger(name, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new Error(`${name} expects a positive integer, but received '${text}'.`);
  }
  return value;
}

/** How many threads TensorFlow has, in this process and in Python, which inherits it. */
function setThreads() {
  const threads = String(availableParallelism());
  process.env.TF_NUM_INTRAOP_THREADS ??= threads;
  process.env.TF_NUM_INTEROP_THREADS ??= threads;
  return Number(process.env.TF_NUM_INTRAOP_THREADS);
}

/** A model of TensorFlow.js; `step` trains it once. */
function tfjsTraining(norm, batchSize) {
  const model = resNet({
    depth: 20,
    imageShape: IMAGE_SHAPE,
    numClasses: CLASSES,
    norm,
    seed: 1,
  });
  model.compile({
    optimizer: tf.train.momentum(LEARNING_RATE, 0.9),
    loss: 'categoricalCrossentropy',
  });
  const x = tf.randomNormal([batchSize, ...IMAGE_SHAPE]);
  const labels = Array.from({length: batchSize}, (_, i) => i % CLASSES);
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES));
  return {
    library: 'TensorFlow.js',
    norm,
    parameters: model.countParams(),
    async step() {
      const start = performance.now();
      // Resolves to the loss as a number: by then the step has ended.
      const loss = await model.trainOnBatch(x, y);
      return {ms: performance.now() - start, loss};
    },
  };
}

/** Keras in a Python process of its own, which runs a step when told to. */
class KerasProcess {
  stderr = '';

  constructor(python, batchSize) {
    const script = join(import.meta.dirname, 'keras_resnet20_step.py');
    this.child = spawn(python, [script, String(batchSize), String(LEARNING_RATE)]);
    this.child.stderr.setEncoding('utf8').on('data', text => (this.stderr += text));
    this.failure = new Promise((_, reject) => {
      const fail = what =>
        reject(new Error(`Keras, run by ${python}, ${what}.\n${this.stderr}`));
      this.child.on('error', error => fail(`did not start: ${error.message}`));
      this.child.on('close', (code, signal) => fail(`ended with ${signal ?? code}`));
    });
    // Whoever waits for a reply hears of it; after the last reply the end is no failure.
    this.failure.catch(() => {});
    this.child.stdin.on('error', () => {});
    this.replies = createInterface({input: this.child.stdout})[Symbol.asyncIterator]();
  }

  /** The first tells of itself, each further one of a step. */
  async reply() {
    const line = await Promise.race([this.replies.next(), this.failure]);
    return line.done ? this.failure : JSON.parse(line.value);
  }

  trainings(parameters) {
    return Object.keys(parameters).map(norm => ({
      library: 'Keras',
      norm,
      parameters: parameters[norm],
      step: () => {
        this.child.stdin.write(`${norm}\n`);
        return this.reply();
      },
    }));
  }

  end() {
    this.child.stdin.end();
  }
}

/** Starts Keras; or says in `absent` why it is left out, if no Python was asked for. */
async function startKeras(requestedPython, batchSize) {
  const python = requestedPython ?? pythonOfSetup();
  if (python === undefined) {
    return {
      absent: '`resbatchnorm-native setup` made no environment here; name a --python',
    };
  }
  const keras = new KerasProcess(python, batchSize);
  const about = await keras.reply();
  if (!about.absent) return {process: keras, ...about};
  if (requestedPython) throw new Error(`--python ${python}: ${about.absent}.`);
  return {absent: `${python}: ${about.absent}`};
}

function pythonOfSetup() {
  const python = readSetupRecord(requireTfjsNode().addonFile)?.python;
  return python !== undefined && existsSync(python) ? python : undefined;
}

/** Both norms have the same parameters; a convolution without a norm has a bias. */
function isSameModel(a, b) {
  return (a.norm === 'none') === (b.norm === 'none');
}

function checkDevice(tensorflow, keras) {
  if (keras.absent || keras.usesGpu === tensorflow.usesGpu) return;
  const [one, other] = keras.usesGpu
    ? ['Keras', 'TensorFlow.js']
    : ['TensorFlow.js', 'Keras'];
  throw new Error(`${one} uses a GPU and ${other} does not.`);
}

/** A model with other parameters would make a false comparison. */
function checkParameters(trainings) {
  for (const training of trainings) {
    const first = trainings.find(other => isSameModel(other, training));
    if (training.parameters === first.parameters) continue;
    const describe = ({library, norm, parameters}) =>
      `${library} (norm: ${norm}) has ${parameters} parameters`;
    throw new Error(`The models differ: ${describe(first)}, ${describe(training)}.`);
  }
}

/** Milliseconds of each training's steps, taken in turn so that a slow spell hits them all. */
async function time(trainings, steps) {
  const times = new Map(trainings.map(training => [training, []]));
  for (let round = -WARM_UP_ROUNDS; round < steps; round++) {
    for (const training of trainings) {
      const {ms, loss} = await training.step();
      if (!Number.isFinite(loss)) {
        throw new Error(`${training.library} (${training.norm}): the loss is ${loss}.`);
      }
      if (round >= 0) times.get(training).push(ms);
    }
    // Each comes after each of the others in turn: what one leaves behind slows the next.
    trainings = [...trainings.slice(1), trainings[0]];
  }
  return times;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? sorted[middle]
    : (sorted[middle - 1] + sorted[middle]) / 2;
}

function summarize(times) {
  const rows = [...times].map(([{library, norm}, ms]) => ({
    library,
    norm,
    medianMs: median(ms),
    fastestMs: Math.min(...ms),
  }));
  return rows.map(row => {
    const none = rows.find(
      ({library, norm}) => library === row.library && norm === 'none',
    );
    const keras = rows.find(
      other => other.library === 'Keras' && isSameModel(other, row),
    );
    return {
      ...row,
      ratioToNone: row.medianMs / none.medianMs,
      ...(keras && {ratioToKeras: row.medianMs / keras.medianMs}),
    };
  });
}

const normTitles = {
  'TensorFlow.js': {
    res: 'ResBatchNorm',
    builtin: 'tf.layers.batchNormalization',
    none: 'no norm',
  },
  Keras: {builtin: 'BatchNormalization', none: 'no norm'},
};

function printTable({steps, batchSize, threads, tensorflow, keras, rows}) {
  const device = tensorflow.usesGpu ? 'GPU' : `${threads} CPU threads`;
  console.log(
    `A training step of ResNet-20, 32×32×3, batch ${batchSize}, on ${device}; ` +
      `medians of ${steps}.`,
  );
  console.log(
    `TensorFlow.js ${tf.version_core} over TensorFlow ${tensorflow.version}, ` +
      `Node ${process.version}.`,
  );
  console.log(
    keras.absent
      ? `Keras is left out: ${keras.absent}.`
      : `Keras ${keras.keras} over TensorFlow ${keras.tensorflow}, graph mode ` +
          '(train_on_batch, jit_compile=False).',
  );
  const round = (value, digits) => Number(value.toFixed(digits));
  console.table(
    Object.fromEntries(
      rows.map(row => [
        `${row.library}, ${normTitles[row.library][row.norm]}`,
        {
          'ms a step': round(row.medianMs, 1),
          'fastest ms': round(row.fastestMs, 1),
          'ratio to none': round(row.ratioToNone, 2),
          ...(row.ratioToKeras && {'ratio to Keras': round(row.ratioToKeras, 2)}),
        },
      ]),
    ),
  );
  console.log(
    'Ratio to none: to no norm in the same library. ' +
      'Ratio to Keras: with a norm to BatchNormalization, without one to no norm.',
  );
}

async function run({steps, batchSize, python, json}) {
  const threads = setThreads();
  tf.enableProdMode();
  const tensorflow = await loadTensorFlow();
  const {process: kerasProcess, ...keras} = await startKeras(python, batchSize);
  try {
    checkDevice(tensorflow, keras);
    const trainings = [
      ...['res', 'builtin', 'none'].map(norm => tfjsTraining(norm, batchSize)),
      ...(kerasProcess?.trainings(keras.parameters) ?? []),
    ];
    checkParameters(trainings);
    const rows = summarize(await time(trainings, steps));
    const report = {steps, batchSize, threads, tensorflow, keras, rows};
    if (json) console.log(JSON.stringify(report, null, 2));
    else printTable(report);
  } finally {
    kerasProcess?.end();
  }
}

const options = readOptions();
if (options?.help) console.log(usage);
else if (options) {
  try {
    await run(options);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
