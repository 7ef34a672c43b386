/** The job, in its order: load, train, save, test, load back, compare. */
import {mkdir, mkdtemp, rmdir} from 'node:fs/promises';
import {join} from 'node:path';

import {UpdateOpsCheck} from '@resbatchnorm/callbacks';
import * as tfl from '@tensorflow/tfjs-layers';

import {useBackend, type Backend} from './backend.js';
import {normalizationOf} from './batches.js';
import type {ImageDataset} from './datasets/image_dataset.js';
import {loadDataset} from './datasets/load_dataset.js';
import {StopOnDivergence} from './divergence.js';
import {
  accuracy,
  largestDifference,
  predictTestImages,
  resetMovingStatistics,
} from './evaluate.js';
import {integer} from './format.js';
import {Interrupt, StopOnInterrupt} from './interrupt.js';
import {modelFiles} from './model_files.js';
import type {Options} from './options.js';
import {Progress} from './progress.js';
import {resNet} from './resnet.js';
import {summaryTable, type UpdateTotals} from './summary.js';
import {train} from './train.js';
import {reasonOf, UsageError} from './usage_error.js';

/** How a run ended; a run that failed throws. */
export type Outcome = 'done' | 'interrupted';

/** @throws UsageError for what the user can put right, before anything is trained. */
export async function run(options: Options): Promise<Outcome> {
  const dataset = await loadDataset(options);
  await checkWritable(options.out);
  const backend = await useBackend(options.backend);
  try {
    return await runOn(backend, dataset, options);
  } finally {
    backend.release();
  }
}

async function runOn(
  backend: Backend,
  dataset: ImageDataset,
  options: Options,
): Promise<Outcome> {
  const normalization = normalizationOf(dataset);
  const model = resNet({...options, ...dataset});
  // Whoever loads the model elsewhere needs these to feed it.
  model.setUserDefinedMetadata({dataset: dataset.title, normalization});
  print(describe(options, dataset, backend, model));

  const {epochs, norm, out} = options;
  const imagesPerEpoch = dataset.train.labels.length;
  const progress = new Progress({epochs, imagesPerEpoch, stream: process.stdout});
  const interrupt = new Interrupt(() => progress.close());
  const check = norm === 'none' ? undefined : new UpdateOpsCheck({onViolation: 'throw'});
  // Whatever watches or steers the training is a callback, and a new one goes here. The
  // first to find fault ends the training, so the nearest to a cause comes first.
  const startedAt = performance.now();
  try {
    await train(model, dataset, normalization, options, [
      new StopOnDivergence(),
      ...(check ? [check] : []),
      progress,
      new StopOnInterrupt(interrupt),
    ]);
  } finally {
    progress.close();
  }
  const trainingSeconds = (performance.now() - startedAt) / 1000;
  await model.save(modelFiles(out));
  interrupt.release();
  const modelFile = join(out, 'model.json');
  if (interrupt.requested) {
    print(`interrupted: the model as it is now is saved in ${modelFile}`);
    return 'interrupted';
  }
  print(`saved in ${modelFile}, testing …`);

  const predict = (tested: tfl.LayersModel) =>
    predictTestImages(tested, dataset, normalization);
  const predictions = await predict(model);
  const reloaded = await tfl.loadLayersModel(modelFiles(out));
  const reloadedPredictions = await predict(reloaded);
  resetMovingStatistics(reloaded);

  const {labels} = dataset.test;
  print(
    summaryTable({
      trainingAccuracy: progress.epochMeans.accuracy,
      testAccuracy: accuracy(predictions, labels),
      norms: check && {
        testAccuracyWithInitialStatistics: accuracy(await predict(reloaded), labels),
        updates: totals(check),
      },
      modelFile,
      largestDifference: largestDifference(predictions, reloadedPredictions),
      trainingSeconds,
    }),
  );
  return 'done';
}

/** The steps are the same for every layer: the check has seen to it. */
function totals(check: UpdateOpsCheck): UpdateTotals {
  const report = check.report();
  return {
    layers: report.length,
    steps: report[0].steps,
    updates: report.reduce((sum, {updates}) => sum + updates, 0),
  };
}

function describe(
  {norm, seed}: Options,
  {title, train, test}: ImageDataset,
  {title: backend}: Backend,
  model: tfl.LayersModel,
): string {
  const norms = {
    res: 'ResBatchNorm',
    builtin: 'tf.layers.batchNormalization',
    none: 'no norm',
  };
  const images = `${integer(train.labels.length)} to train, ${integer(test.labels.length)} to test`;
  return [
    `${title}: ${images}`,
    `${model.name} with ${norms[norm]}: ${integer(model.countParams())} parameters`,
    `backend ${backend}, seed ${seed}`,
  ].join('\n');
}

/** Makes the folder, and a folder in it: permissions alone do not tell. */
async function checkWritable(directory: string): Promise<void> {
  try {
    await mkdir(directory, {recursive: true});
    await rmdir(await mkdtemp(join(directory, '.probe-')));
  } catch (error) {
    throw new UsageError(`Cannot write to --out ${directory}: ${reasonOf(error)}`);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
