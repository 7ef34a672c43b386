import type {Kernels} from '../kernel.js';
import {mean, variance} from './moment_results.js';
import {moments as momentsOf} from './moments.js';
import {normalize} from './normalize.js';
import {tile} from './tiling.js';

/** The reserve is the moments, which are more exact than mean and variance are. */
export const training: Kernels['training'] = (inputs, attrs, backend) => {
  const {x} = inputs;
  const tilings = tile(backend, inputs, attrs.axis);
  if (tilings === null) return null;
  const moments = momentsOf(backend, tilings.reduction, x);
  return [
    normalize(backend, tilings.each, {...inputs, moments}, attrs),
    mean(backend, tilings.each, x, moments),
    variance(backend, tilings.each, moments),
    moments,
  ];
};
