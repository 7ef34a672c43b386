import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import {phases} from './cases.js';
import {prepareDispatch} from './dispatch.js';

beforeAll(() => useBackend('cpu'));

it('calls both layers, and a multiplication in training', () => {
  const names = phases.map(phase => {
    const {contenders, dispose} = prepareDispatch(phase);
    dispose();
    return Object.keys(contenders);
  });
  expect(names).toEqual([
    ['ours', 'builtIn', 'multiplication'],
    ['ours', 'builtIn'],
  ]);
});

it('runs the kernels of the layer, backward and moving statistics included', async () => {
  const kernelsOf = async (phase: (typeof phases)[number]) => {
    const {contenders, dispose} = prepareDispatch(phase);
    const {kernelNames} = await tf.profile(async () => {
      await contenders.ours(1);
      return tf.scalar(0);
    });
    dispose();
    return kernelNames.filter(name => name.startsWith('ResBatchNorm')).sort();
  };
  expect(await kernelsOf('training')).toEqual([
    'ResBatchNormMovingStatistics',
    'ResBatchNormTraining',
    'ResBatchNormTrainingGrad',
  ]);
  expect(await kernelsOf('inference')).toEqual(['ResBatchNormInference']);
});

it('leaves no tensor behind', async () => {
  // The first call makes what all layers share.
  for (const counted of [false, true]) {
    const before = tf.memory().numTensors;
    for (const phase of phases) {
      const {contenders, dispose} = prepareDispatch(phase);
      for (const contender of Object.values(contenders)) await contender(3);
      dispose();
    }
    if (counted) expect(tf.memory().numTensors).toBe(before);
  }
});
