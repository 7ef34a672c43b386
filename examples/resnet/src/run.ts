/**
 * The job, in its order: load, train, save, test, load back, compare. With several replicas all
 * train, and the chief alone saves, tests and prints.
 */
import {join} from 'node:path';

import {ProgressBar} from '@resbatchnorm/callbacks';
import {connect, hasOtherReplicas, type Replicas} from '@resbatchnorm/distributed';
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
  const replicas = await otherReplicas(options);
  const backend = await useBackend(replicas ? 'tensorflow' : options.backend);
  const {globalBatchSize, batchSize} = options;
  const ofAll = {
    ...options,
    batchSize: globalBatchSize ?? batchSize * (replicas?.size ?? 1),
  };
  try {
    return await runOn(backend, dataset, ofAll, replicas);
  } finally {
    backend.release();
  }
}

/** Undefined for a program that trains alone. */
async function otherReplicas({backend}: Options): Promise<Replicas | undefined> {
  if (!hasOtherReplicas()) return undefined;
  if (backend !== 'auto' && backend !== 'tensorflow') {
    throw new UsageError(
      `--backend ${backend}: several replicas train on tensorflow, which auto takes for them.`,
    );
  }
  return connect();
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
  replicas: Replicas | undefined,
): Promise<Outcome> {
  const isChief = replicas?.isChief ?? true;
  const print = (text: string) => {
    if (isChief) process.stdout.write(`${text}\n`);
  };
  const normalization = normalizationOf(dataset);
  const resumed = await resumedTraining(options);
  const model = resumed?.model ?? resNet({...options, ...dataset});
  // Whoever loads the model elsewhere needs these to feed it.
  const training = trainingOptions(options);
  model.setUserDefinedMetadata({dataset: dataset.title, normalization, training});
  print(describe(options, dataset, backend, model, replicas));
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
    history = await train(model, dataset, normalization, options, all, resumed, replicas);
  } finally {
    progress.close();
  }
  const trainingSeconds = (performance.now() - startedAt) / 1000;
  if (!isChief) return interrupt.requested ? 'interrupted' : 'done';
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
      replicas: replicas && `${replicas.size} over ${replicas.engineName}`,
    }),
  );
  return 'done';
}

function describe(
  {norm, seed, batchSize}: Options,
  {title, train, test}: ImageDataset,
  {title: backend}: OpenBackend,
  model: tfl.LayersModel,
  replicas: Replicas | undefined,
): string {
  const images = `${integer(train.labels.length)} to train, ${integer(test.labels.length)} to test`;
  return [
    `${title}: ${images}`,
    `${model.name} with ${normTitles[norm]}: ${integer(model.countParams())} parameters`,
    `backend ${backend}, seed ${seed}`,
    ...(replicas
      ? [
          `${replicas.size} replicas over ${replicas.engineName}, ${batchSize} images a step`,
        ]
      : []),
  ].join('\n');
}
