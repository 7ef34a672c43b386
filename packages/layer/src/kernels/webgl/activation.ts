/** GLSL for activations and their gradients, on vec4s. */
import type {FusedActivation} from '../kernel.js';

/** activation(z). NaN stays: whether min and max would keep it is left to the device. */
export function activated(z: string, activation: FusedActivation): string {
  switch (activation) {
    case 'linear':
      return z;
    case 'relu':
      return atLeast0(z);
    case 'relu6':
      return `mix(${atLeast0(z)}, vec4(6), greaterThan(${z}, vec4(6)))`;
  }
}

function atLeast0(z: string): string {
  return `mix(${z}, vec4(0), lessThan(${z}, vec4(0)))`;
}

/** dz = dy·activation′, from y: dy where the activation let the value through, 0 elsewhere. */
export function activationGrad(
  dy: string,
  y: string,
  activation: FusedActivation,
): string {
  const ofRelu = `mix(vec4(0), ${dy}, greaterThan(${y}, vec4(0)))`;
  switch (activation) {
    case 'linear':
      return dy;
    case 'relu':
      return ofRelu;
    case 'relu6':
      return `mix(vec4(0), ${ofRelu}, lessThan(${y}, vec4(6)))`;
  }
}
