import type {KernelFunc} from '@tensorflow/tfjs-core';

import type {ChannelView} from '../../channel_view.js';
import type {InferenceInputs, NormAttrs} from '../kernel.js';
import {arrayOf, tensorOf} from './backend.js';
import {normalization, scaleAndOffset} from './loops.js';

export const inference: KernelFunc = ({inputs, attrs, backend}) => {
  const {x, gamma, beta, mean, variance} = inputs as InferenceInputs;
  const {epsilon} = attrs as NormAttrs;
  const {scale, offset} = normalization(
    {
      gamma: arrayOf(backend, gamma),
      beta: arrayOf(backend, beta),
      mean: arrayOf(backend, mean),
      variance: arrayOf(backend, variance),
    },
    epsilon,
  );
  const y = scaleAndOffset(arrayOf(backend, x), x.shape as ChannelView, scale, offset);
  return tensorOf(backend, y, x.shape);
};
