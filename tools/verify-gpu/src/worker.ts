/** The process that does a job on one API to the GPU, and sends what it finds. */
import {makeBatch} from '@resbatchnorm/resnet';
import {AbsentError} from '@resbatchnorm/tools-common/device';
import * as tf from '@tensorflow/tfjs-core';

import {type OpenApi, openApi} from './apis.js';
import {caseName, checkNorm, normCases} from './norm_checks.js';
import {equalTo} from './report.js';
import {type Digits, loadPaddedDigits, makeModel} from './resnet_on_digits.js';
import type {Job, Message} from './run_job.js';
import {checkSaving} from './save_checks.js';
import {measureStepTimes} from './step_times.js';
import {trainAndCheck} from './training_checks.js';

const full = {depth: 20, batchSize: 64, rounds: 30, warmUpRounds: 5};
// A software device takes seconds for a step of it.
const small = {depth: 8, batchSize: 4, rounds: 3, warmUpRounds: 1};

process.once('message', (job: Job) => {
  run(job)
    .then((): Message => ({type: 'done'}))
    .catch(toMessage)
    // Dawn keeps the process alive, and what it does at the end is not what is verified.
    .then(message => process.send!(message, () => process.exit()));
});
// The parent has gone.
process.once('disconnect', () => process.exit());

async function run(job: Job): Promise<void> {
  const opened = await openApi(job.api, job.allowSoftware);
  const {device, notMeasured} = opened;
  send({type: 'opened', device, notMeasured});
  if (job.kind === 'checks') await runChecks(job, opened);
  else await runTimings(job);
}

async function runChecks({steps, quick}: Job, {memory}: OpenApi): Promise<void> {
  const tensorsBefore = tf.memory().numTensors;
  for (const normCase of normCases({quick})) {
    stage(`ResBatchNorm, ${caseName(normCase)}`);
    send({type: 'checks', checks: await checkNorm(normCase)});
  }
  stage('loading the digits');
  const digits = await loadPaddedDigits();
  const {depth, batchSize} = quick ? small : full;
  const model = makeModel(digits, depth);
  const onStep = (step: number) =>
    stage(`training a ResNet-${depth}, step ${step} of ${steps} is done`);
  send({
    type: 'checks',
    checks: await trainAndCheck(model, digits, {steps, batchSize, memory, onStep}),
  });
  stage('saving, and loading on the CPU');
  const {images, shape} = await testImages(digits, batchSize);
  send({type: 'checks', checks: await checkSaving(model, images, shape)});
  model.dispose();
  const left = equalTo(0, {
    group: 'tensors constant',
    name: 'left when all is disposed of',
    measured: tf.memory().numTensors - tensorsBefore,
  });
  send({type: 'checks', checks: [left]});
}

async function runTimings({quick}: Job): Promise<void> {
  const digits = await loadPaddedDigits();
  const size = quick ? small : full;
  const onRound = (round: number) =>
    stage(
      round > 0
        ? `timing, round ${round} of ${size.rounds} is done`
        : 'timing, warming up',
    );
  const stepTimes = await measureStepTimes(digits, {...size, onRound});
  send({type: 'step times', stepTimes});
}

async function testImages({dataset, normalization}: Digits, count: number) {
  const indices = Array.from({length: count}, (_, i) => i);
  const {xs, ys} = makeBatch(dataset.test, indices, dataset, normalization);
  const images = (await xs.data()) as Float32Array;
  const {shape} = xs;
  tf.dispose([xs, ys]);
  return {images, shape};
}

function stage(text: string): void {
  send({type: 'stage', text});
}

function send(message: Message): void {
  process.send!(message);
}

function toMessage(error: unknown): Message {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof AbsentError
    ? {type: 'absent', reason: message}
    : {type: 'failed', reason: message.split('\n')[0]};
}
