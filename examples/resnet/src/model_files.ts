/**
 * Saves models to a folder and loads them, with no native backend: `model.json` and one
 * weight file, in the layout that `tf.loadLayersModel` reads over HTTP or from disk.
 */
import {createHash} from 'node:crypto';
import {mkdir, open, readdir, readFile, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';

import * as tf from '@tensorflow/tfjs-core';

const modelFile = 'model.json';
const weightFilePattern = /^weights-[0-9a-f]{16}\.bin$/;

/**
 * A folder as a place for `model.save(modelFiles(directory))` and
 * `tf.loadLayersModel(modelFiles(directory))`.
 *
 * Saving is atomic: the weight file's name is made of its content, and `model.json`, which
 * names it, is replaced in one step. A process killed at any time leaves the old model or
 * the new one, never a mixture.
 */
export function modelFiles(directory: string): tf.io.IOHandler {
  return {
    save: artifacts => save(directory, artifacts),
    load: () => load(directory),
  };
}

async function save(
  directory: string,
  artifacts: tf.io.ModelArtifacts,
): Promise<tf.io.SaveResult> {
  const {weightData, weightSpecs, ...rest} = artifacts;
  const weights = Buffer.from(tf.io.CompositeArrayBuffer.join(weightData));
  const digest = createHash('sha256').update(weights).digest('hex');
  const weightFile = `weights-${digest.slice(0, 16)}.bin`;
  const json: tf.io.ModelJSON = {
    ...rest,
    modelTopology: artifacts.modelTopology!,
    weightsManifest: [{paths: [weightFile], weights: weightSpecs ?? []}],
  };
  await mkdir(directory, {recursive: true});
  await replaceFile(directory, weightFile, weights);
  await replaceFile(directory, modelFile, JSON.stringify(json));
  for (const file of await readdir(directory)) {
    if (weightFilePattern.test(file) && file !== weightFile)
      await rm(join(directory, file));
  }
  return {modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts)};
}

/** Writes beside the file, waits until that is on the disk, then renames. */
async function replaceFile(directory: string, name: string, content: string | Buffer) {
  const target = join(directory, name);
  const temporary = `${target}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, {force: true});
    throw error;
  }
}

async function load(directory: string): Promise<tf.io.ModelArtifacts> {
  const file = join(directory, modelFile);
  const json = parseModel(await readFile(file, 'utf8'), file);
  return tf.io.getModelArtifactsForJSON(json, async manifest => {
    const specs = manifest.flatMap(group => group.weights);
    const paths = manifest.flatMap(group => group.paths);
    const parts = await Promise.all(paths.map(path => readFile(join(directory, path))));
    const weights = Buffer.concat(parts);
    const expected = specs.reduce((sum, spec) => sum + byteSize(spec), 0);
    if (weights.length !== expected) {
      throw new Error(
        `${join(directory, paths.join(', '))} does not belong to ${file}: expected ` +
          `${expected} bytes of weights, received ${weights.length}.`,
      );
    }
    return [specs, new Uint8Array(weights).buffer];
  });
}

function parseModel(text: string, file: string): tf.io.ModelJSON {
  let json: Partial<tf.io.ModelJSON> | null;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not valid JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
  if (!json?.modelTopology || !Array.isArray(json.weightsManifest)) {
    throw new Error(
      `${file} is not a saved model: expected modelTopology and weightsManifest, ` +
        `received ${Object.keys(json ?? {}).join(', ') || 'neither'}.`,
    );
  }
  return json as tf.io.ModelJSON;
}

function byteSize({name, shape, dtype}: tf.io.WeightsManifestEntry): number {
  if (dtype === 'string' || dtype === 'complex64') {
    throw new Error(`The weight ${name} has the dtype ${dtype}, which no layer uses.`);
  }
  return tf.util.sizeFromShape(shape) * tf.util.bytesPerElement(dtype);
}
