/** Which dataset a name stands for. A new one is added here and in options.ts. */
import type {Options} from '../options.js';
import {loadCifar10} from './cifar10.js';
import {loadDigits} from './digits.js';
import {firstImages, type ImageDataset} from './image_dataset.js';

export async function loadDataset(options: Options): Promise<ImageDataset> {
  const dataset = await load(options);
  const {limit = Infinity} = options;
  return {
    ...dataset,
    train: firstImages(dataset.train, limit),
    test: firstImages(dataset.test, limit),
  };
}

function load({dataset, data}: Options): Promise<ImageDataset> {
  switch (dataset) {
    case 'digits':
      return loadDigits();
    case 'cifar10':
      return loadCifar10(data!);
  }
}
