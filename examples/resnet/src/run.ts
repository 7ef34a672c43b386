/** The job, in its order: load, train, save, test, load back, compare. */
import {mkdir, mkdtemp, rmdir} from 'node:fs/promises';
import {join} from 'node:path';

import {ProgressBar} from '@resbatchnorm/callbacks';
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
import {resNet} from './resnet.js';
import {resumedTraining, trainingOptions} from './resumed_training.js';
import {summaryTable} from './summary.js';
import {train} from './train.js';
import {reasonOf, UsageError} from './usage_error.js';
import {watch} from './watch.js';

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
  const resumed = await resumedTraining(options);
  const model = resumed?.model ?? resNet({...options, ...dataset});
  // Whoever loads the model elsewhere needs these to feed it.
  const training = trainingOptions(options);
  model.setUserDefinedMetadata({dataset: dataset.title, normalization, training});
  print(describe(options, dataset, backend, model));
  if (resumed) print(`resuming ${resumed.checkpoint}, after step ${resumed.step}`);

  const {out} = options;
  const progress = new ProgressBar({stream: process.stdout});
  const interrupt = new Interrupt(() => progress.close());
  const {updateOps, phaseGap, callbacks} = watch(options, dataset, normalization);
  const startedAt = performance.now();
  let history: tfl.History;
  try {
    // The first to find fault ends the training, so the nearest to a cause comes first.
    const all = [
      new StopOnDivergence(),
      ...callbacks,
      progress,
      new StopOnInterrupt(interrupt),
    ];
    history = await train(model, dataset, normalization, options, all, resumed);
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
      trainingAccuracy: history.history.acc?.at(-1) as number | undefined,
      testAccuracy: accuracy(predictions, labels),
      norms: updateOps && {
        testAccuracyWithInitialStatistics: accuracy(await predict(reloaded), labels),
        updates: updateOps.summary(),
        phaseGap: phaseGap?.report().at(-1),
      },
      modelFile,
      largestDifference: largestDifference(predictions, reloadedPredictions),
      trainingSeconds,
    }),
  );
  return 'done';
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
