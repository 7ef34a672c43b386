import type {Kernels} from '../kernel.js';
import {normalize} from './normalize.js';
import {tile} from './tiling.js';

export const inference: Kernels['inference'] = (inputs, attrs, backend) => {
  const tilings = tile(backend, inputs, attrs.axis);
  if (tilings === null) return null;
  return [normalize(backend, tilings.each, inputs, attrs)];
};
