/** What the tests of foldBatchNorm share. */
import * as tfl from '@tensorflow/tfjs-layers';

import {batchNorms} from '../src/batch_norms.js';
import {resBatchNorm} from '../src/index.js';
import {foldBatchNorm, type FoldedModel} from '../src/models/fold.js';
import {expectSamePredictions, setWeights} from './models.js';

export function sequential(...all: tfl.layers.Layer[]): tfl.LayersModel {
  const model = tfl.sequential({layers: all});
  setWeights(model);
  return model;
}

export const bn = (args: Parameters<typeof resBatchNorm>[0] = {}) =>
  resBatchNorm({name: 'bn', epsilon: 1e-2, ...args});

/** Expects that the model predicts the same with nothing but folded batch norms. */
export async function expectAllFolded(model: tfl.LayersModel): Promise<FoldedModel> {
  const result = await foldBatchNorm(model);
  expect(result.kept).toEqual([]);
  expect(batchNorms(result.model)).toEqual([]);
  expect(result.folded).toHaveLength(batchNorms(model).length);
  await expectSamePredictions(result.model, model);
  return result;
}
