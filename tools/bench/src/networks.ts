/** The networks that are trained, with each kind of norm. */
import {type NormName, resNet} from '@resbatchnorm/resnet';
import type * as tfl from '@tensorflow/tfjs-layers';

import {bottleneckResNet} from './bottleneck_resnet.js';
import type {Network} from './requests.js';

export const numClasses = 10;
const seed = 1;

/** Not compiled. */
export function makeModel({name, imageShape}: Network, norm: NormName): tfl.LayersModel {
  switch (name) {
    case 'ResNet-8':
      return resNet({depth: 8, imageShape, numClasses, norm, seed});
    case 'ResNet-20':
      return resNet({depth: 20, imageShape, numClasses, norm, seed});
    case 'ResNet-50 style':
      return bottleneckResNet({imageShape, numClasses, norm, seed});
  }
}
