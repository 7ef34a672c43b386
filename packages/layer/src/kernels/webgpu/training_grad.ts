import type {Kernels} from '../kernel.js';
import {activationGrad} from './activation.js';
import {gradSums, type GradInputs} from './grad_sums.js';
import {inputGrad} from './input_grad.js';
import {tile} from './tiling.js';

/** The formulas are those of composed/training_grad.ts. */
export const trainingGrad: Kernels['trainingGrad'] = (inputs, attrs, backend) => {
  const {dy, x, gamma, y, reserve0: moments} = inputs;
  const tilings = tile(backend, inputs, attrs.axis);
  // After a forward pass by the composed kernel there are no moments.
  if (tilings === null || moments === undefined) return null;
  const gradient = (inputs: GradInputs, gradAttrs: typeof attrs) => {
    const sums = gradSums(backend, tilings.reduction, inputs, gradAttrs);
    const dx = inputGrad(backend, tilings.each, {...inputs, gamma, ...sums}, gradAttrs);
    return [dx, sums.dgamma, sums.dbeta];
  };
  if (y === undefined) return gradient({dy, x, moments}, attrs);
  if (!attrs.hasShortcut) return gradient({dy, x, moments, y}, attrs);
  // As dz is wanted, all else starts from it, which reads less than from dy and y.
  const dz = activationGrad(backend, tilings.each, {dy, y}, attrs.activation);
  return [...gradient({dy: dz, x, moments}, {...attrs, activation: 'linear'}), dz];
};
