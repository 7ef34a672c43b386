import type {KernelFunc} from '@tensorflow/tfjs-core';

import type {ChannelView} from '../../channel_view.js';
import type {NormAttrs, TrainingInputs} from '../kernel.js';
import {arrayOf, tensorOf} from './backend.js';
import {moments, normalization, scaleAndOffset} from './loops.js';

export const training: KernelFunc = ({inputs, attrs, backend}) => {
  const {x, gamma, beta} = inputs as TrainingInputs;
  const {epsilon} = attrs as NormAttrs;
  const view = x.shape as ChannelView;
  const xs = arrayOf(backend, x);
  const {mean, variance} = moments(xs, view);
  const {scale, offset} = normalization(
    {gamma: arrayOf(backend, gamma), beta: arrayOf(backend, beta), mean, variance},
    epsilon,
  );
  return [
    tensorOf(backend, scaleAndOffset(xs, view, scale, offset), x.shape),
    tensorOf(backend, mean, gamma.shape),
    tensorOf(backend, variance, gamma.shape),
  ];
};
