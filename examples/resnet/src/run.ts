/** The job, in its order: load, train, save, test, load back, compare. */
import {join} from 'node:path';

import {ProgressBar} from '@resbatchnorm/callbacks';
import {type OpenBackend, useBackend} from '@resbatchnorm/tools-common/backends';
import {checkWritable, UsageError} from '@resbatchnorm/tools-common/command_line';
import * as tfl from '@tensorflow/tfjs-layers';

import {normalizationOf} from './batches.js';
import {Interrupt, StopOnDivergence, StopOnInterrupt, watch} from './callbacks.js';
import {DatasetError, loadCifar10} from './datasets/cifar10.js';
import {loadDigits} from './datasets/digits.js';
import {firstImages, type ImageDataset} from './datasets/image_dataset.js';
import {
  accuracy,
  largestDifference,
  predictTestImages,
  resetMovingStatistics,
} from './evaluate.js';
import {modelFiles} from './model_files.js';
import {normTitles} from './norms.js';
import type {Options} from './options.js';
import {resNet} from './resnet.js';
import {resumedTraining, trainingOptions} from './resumed_training.js';
import {integer, summaryTable} from './summary.js';
import {train} from './train.js';

/** How a run ended; a run that failed throws. */
export type Outcome = 'done' | 'interrupted';

/** @throws UsageError before anything is trained, for a mistake of the user. */
export async function run(options: Options): Promise<Outcome> {
  const dataset = await loadDataset(options);
  await checkWritable(options.out, {folder: options.out});
  const backend = await useBackend(options.backend);
  try {
    return await runOn(backend, dataset, options);
  } finally {
    backend.release();
  }
}

/** With at most `--limit` images in either set. */
async function loadDataset({dataset: name, data, limit = Infinity}: Options) {
  const loading = name === 'digits' ? loadDigits() : loadCifar10(data!);
  const dataset = await loading.catch((error: unknown) => {
    throw error instanceof DatasetError ? new UsageError(error.message) : error;
  });
  return {
    ...dataset,
    train: firstImages(dataset.train, limit),
    test: firstImages(dataset.test, limit),
  };
}

async function runOn(
  backend: OpenBackend,
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
  {title: backend}: OpenBackend,
  model: tfl.LayersModel,
): string {
  const images = `${integer(train.labels.length)} to train, ${integer(test.labels.length)} to test`;
  return [
    `${title}: ${images}`,
    `${model.name} with ${normTitles[norm]}: ${integer(model.countParams())} parameters`,
    `backend ${backend}, seed ${seed}`,
  ].join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
