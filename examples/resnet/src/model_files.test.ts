import {mkdtemp, readdir, readFile, rm, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {modelFiles} from './model_files.js';

let directory: string;

beforeAll(() => useBackend('cpu'));

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'model-'));
});

afterEach(() => rm(directory, {recursive: true}));

function makeModel(units = 3): tfl.LayersModel {
  const model = tfl.sequential({
    layers: [
      tfl.layers.dense({units, inputShape: [4], name: 'dense'}),
      tfl.layers.batchNormalization({name: 'norm', movingMeanInitializer: 'ones'}),
    ],
  });
  model.setUserDefinedMetadata({dataset: 'four numbers'});
  return model;
}

const files = async () => (await readdir(directory)).sort();
const weightFile = async () => join(directory, (await files())[1]);
const load = () => tfl.loadLayersModel(modelFiles(directory));

describe('modelFiles', () => {
  it('gives back the weights, the predictions and the metadata, bit for bit', async () => {
    const model = makeModel();
    await model.save(modelFiles(directory));
    const loaded = await load();
    const x = tf.randomNormal([5, 4]);
    const predictions = [model, loaded].map(each => each.predict(x) as tf.Tensor);
    expect(await predictions[1].data()).toEqual(await predictions[0].data());
    expect(loaded.getUserDefinedMetadata()).toEqual({dataset: 'four numbers'});
    for (const [i, weight] of model.getWeights().entries()) {
      expect(await loaded.getWeights()[i].data()).toEqual(await weight.data());
    }
  });

  it('is in the layout that other loaders read: paths beside model.json', async () => {
    await makeModel().save(modelFiles(directory));
    const json = JSON.parse(await readFile(join(directory, 'model.json'), 'utf8'));
    const [{paths, weights}] = json.weightsManifest;
    expect(await files()).toEqual(['model.json', ...paths]);
    expect(weights[0]).toMatchObject({
      name: 'dense/kernel',
      shape: [4, 3],
      dtype: 'float32',
    });
    expect(json).toMatchObject({
      format: 'layers-model',
      modelTopology: expect.anything(),
    });
  });

  it('makes the folder, and replaces an older model without a trace', async () => {
    directory = join(directory, 'a', 'b');
    await makeModel().save(modelFiles(directory));
    const before = await files();
    await makeModel(5).save(modelFiles(directory));
    expect(await files()).toHaveLength(2);
    expect(await files()).not.toEqual(before);
    expect((await load()).outputShape).toEqual([null, 5]);
  });

  it('leaves the older model whole where saving stops half-way', async () => {
    const model = makeModel();
    await model.save(modelFiles(directory));
    // The new weights are there, model.json is not yet replaced: as after a kill.
    await writeFile(join(directory, 'weights-0123456789abcdef.bin'), 'new');
    await writeFile(join(directory, 'model.json.1.tmp'), '{"modelTop');
    const loaded = await load();
    expect(await loaded.getWeights()[0].data()).toEqual(
      await model.getWeights()[0].data(),
    );
  });

  it('says what is wrong with the files', async () => {
    await expect(load()).rejects.toThrow(/ENOENT.*model\.json/);
    await makeModel().save(modelFiles(directory));
    await truncate(await weightFile(), 60);
    await expect(load()).rejects.toThrow(
      /weights-\w+\.bin does not belong to .*model\.json: expected 108 bytes.*received 60/,
    );
    await writeFile(join(directory, 'model.json'), '{"modelTopology": ');
    await expect(load()).rejects.toThrow(/model\.json is not valid JSON/);
    await writeFile(join(directory, 'model.json'), '{"name": "x"}');
    await expect(load()).rejects.toThrow(
      /model\.json is not a saved model: expected modelTopology.*received name/,
    );
  });
});
