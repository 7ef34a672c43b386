/** From a training to the content of a checkpoint, and back. */
import {batchNorms, type Layer} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import type {BestCheckpoint, TrainingPosition} from '../progress.js';
import {CheckpointError, type CheckpointContent} from './checkpoint_folder.js';
import {readOptimizer, writeOptimizer, type OptimizerState} from './optimizer_state.js';
import {checkWeightNames} from './weight_names.js';

const FORMAT = 'resbatchnorm checkpoint';
const VERSION = 1;

export type Loss = tfl.ModelCompileArgs['loss'];
export type Metrics = tfl.ModelCompileArgs['metrics'];

/** What the model was compiled with; null stands for functions, which can't be saved. */
interface Compiled {
  loss: Loss | null;
  metrics: Metrics | null;
}

/**
 * What of a model is frozen. A saved topology tells that of layers, but neither of models,
 * which freeze what is in them, nor of single weights.
 */
interface TrainableFlags {
  /** Paths of the models with `trainable === false`; '' is the outermost. */
  frozenModels: string[];
  /** Names of the weights that training changes. */
  trainableWeights: string[];
}

/** checkpoint.json. */
export interface Manifest extends TrainingPosition, TrainableFlags {
  format: typeof FORMAT;
  version: number;
  /** The same in all checkpoints of a training, and in no other's. */
  training: string;
  best: BestCheckpoint | null;
  optimizer: OptimizerState;
  /** Null if the model is not compiled, as in a loop of the user's own. */
  compiled: Compiled | null;
}

export interface TrainingState {
  model: tfl.LayersModel;
  optimizer: tf.Optimizer;
}

export async function encodeTraining(
  {model, optimizer}: TrainingState,
  position: TrainingPosition & Pick<Manifest, 'training' | 'best'>,
): Promise<CheckpointContent> {
  checkWeightNames(model);
  const {weightData, weightSpecs, ...topology} = await artifactsOf(model);
  const {state, data} = await readOptimizer(optimizer, model);
  const manifest: Manifest = {
    format: FORMAT,
    version: VERSION,
    ...position,
    ...readTrainableFlags(model),
    compiled: model.optimizer ? compiledOf(model) : null,
    optimizer: state,
  };
  const weights = [{paths: ['weights.bin'], weights: weightSpecs}];
  return {
    'checkpoint.json': toJson(manifest),
    'model.json': toJson({...topology, weightsManifest: weights}),
    'optimizer.bin': new Uint8Array(data),
    'weights.bin': new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData)),
  };
}

/** @throws CheckpointError if a later version of this package wrote it. */
export function decodeManifest(content: CheckpointContent): Manifest {
  const manifest = fromJson(content['checkpoint.json']) as Manifest;
  if (manifest.format !== FORMAT || manifest.version !== VERSION) {
    throw new CheckpointError(
      `checkpoint.json must be of the format '${FORMAT}', version ${VERSION}. Received: ` +
        `${JSON.stringify(manifest.format)}, version ${manifest.version}`,
    );
  }
  return manifest;
}

/**
 * @param own the loss and metrics, where they are functions.
 * @throws CheckpointError if one of those is missing; what `tf.loadLayersModel` throws.
 */
export async function decodeTraining(
  content: CheckpointContent,
  manifest: Manifest,
  own: {loss?: Loss; metrics?: Metrics},
): Promise<TrainingState> {
  const compileArgs = compileArgsOf(manifest, own);
  const {weightsManifest, ...topology} = fromJson(
    content['model.json'],
  ) as tf.io.ModelJSON;
  const weightSpecs = weightsManifest.flatMap(({weights}) => weights);
  const weightData = bufferOf(content['weights.bin']);
  const artifacts: tf.io.ModelArtifacts = {...topology, weightSpecs, weightData};
  const model = await tfl.loadLayersModel(tf.io.fromMemory(artifacts));
  let optimizer: tf.Optimizer | undefined;
  try {
    assignWeights(model, weightData, weightSpecs);
    writeTrainableFlags(model, manifest);
    optimizer = await writeOptimizer(
      manifest.optimizer,
      bufferOf(content['optimizer.bin']),
      model,
    );
    if (compileArgs !== null) model.compile({...compileArgs, optimizer});
    return {model, optimizer};
  } catch (error) {
    model.dispose();
    optimizer?.dispose();
    throw error;
  }
}

async function artifactsOf(model: tfl.LayersModel): Promise<tf.io.ModelArtifacts> {
  let saved!: tf.io.ModelArtifacts;
  await model.save(
    tf.io.withSaveHandler(async artifacts => {
      saved = artifacts;
      return {modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts)};
    }),
  );
  return saved;
}

/**
 * Loading applies the constraints of weights, and training in TensorFlow.js does not: the
 * weights would not be those that were saved.
 */
function assignWeights(
  model: tfl.LayersModel,
  data: ArrayBuffer,
  specs: tf.io.WeightsManifestEntry[],
): void {
  tf.tidy(() => {
    const tensors = tf.io.decodeWeights(data, specs);
    for (const weight of model.weights)
      (weight.read() as tf.Variable).assign(tensors[weight.originalName]);
  });
}

function compiledOf({loss, metrics = []}: tfl.LayersModel): Compiled {
  return {
    loss: isSaveable(loss) ? loss : null,
    metrics: isSaveable(metrics) ? metrics : null,
  };
}

/** Whether it is made of names alone. */
function isSaveable(value: unknown): boolean {
  if (typeof value === 'object' && value !== null)
    return Object.values(value).every(isSaveable);
  return typeof value === 'string';
}

function compileArgsOf(
  {compiled}: Manifest,
  own: {loss?: Loss; metrics?: Metrics},
): {loss: Loss; metrics: Metrics} | null {
  if (compiled === null) return null;
  const loss = own.loss ?? compiled.loss;
  const metrics = own.metrics ?? compiled.metrics;
  if (loss !== null && metrics !== null) return {loss, metrics};
  const missing = loss === null ? 'loss' : 'metrics';
  throw new CheckpointError(
    `The model was compiled with a function as its ${missing}, which a checkpoint can't ` +
      `hold: pass it, as in resume(path, {${missing}})`,
  );
}

function toJson(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}

function fromJson(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** A file's bytes may lie in the middle of a buffer that Node shares among files. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}

function readTrainableFlags(model: tfl.LayersModel): TrainableFlags {
  return {
    frozenModels: [...modelsOf(model)]
      .filter(([, {trainable}]) => trainable === false)
      .map(([path]) => path),
    trainableWeights: model.weights
      .filter(({trainable}) => trainable)
      .map(({originalName}) => originalName),
  };
}

function writeTrainableFlags(
  model: tfl.LayersModel,
  {frozenModels, trainableWeights}: TrainableFlags,
): void {
  // A layer's own flag is in the topology. Freezing a model would set that of a ResBatchNorm
  // which had been thawed in it.
  const norms = batchNorms(model).map(({layer}) => ({layer, trainable: layer.trainable}));
  const frozen = new Set(frozenModels);
  for (const [path, inner] of modelsOf(model)) {
    if (frozen.has(path)) inner.trainable = false;
  }
  for (const {layer, trainable} of norms) layer.trainable = trainable;
  // All these have set the flags of the weights.
  const trainable = new Set(trainableWeights);
  for (const weight of model.weights)
    weight.trainable = trainable.has(weight.originalName);
}

/** The model and those inside of it, by the names that lead to them. */
function* modelsOf(model: Layer, path = ''): Generator<[string, Layer]> {
  const {layers} = model as Layer & {layers?: unknown};
  if (!Array.isArray(layers)) return;
  yield [path, model];
  for (const layer of layers as Layer[]) yield* modelsOf(layer, `${path}/${layer.name}`);
}
