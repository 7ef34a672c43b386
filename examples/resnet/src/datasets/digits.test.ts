import {loadDigits, splitByClass, withoutDuplicates} from './digits.js';
import type {ImageDataset, LabelledImages} from './image_dataset.js';

/** Every image as a string, to compare by content. */
function contents({pixels, labels}: LabelledImages): string[] {
  const size = pixels.length / labels.length;
  return Array.from(labels, (_, i) =>
    Buffer.from(pixels.subarray(i * size, (i + 1) * size)).toString('latin1'),
  );
}

const countsOf = ({labels}: LabelledImages) =>
  labels.reduce((counts, label) => {
    counts[label]++;
    return counts;
  }, new Array<number>(10).fill(0));

describe('loadDigits', () => {
  let dataset: ImageDataset;

  beforeAll(async () => {
    dataset = await loadDigits();
  });

  it('has 10,000 images, and none is in both sets', () => {
    const {train, test} = dataset;
    expect(train.labels.length + test.labels.length).toBe(10_000);
    expect(test.labels.length / 10_000).toBeCloseTo(0.15, 3);
    // All differ, so in particular none of the test set is in the training set.
    expect(new Set([...contents(train), ...contents(test)]).size).toBe(10_000);
  });

  it('has the same share of every digit in the test set', () => {
    const [inTrain, inTest] = [countsOf(dataset.train), countsOf(dataset.test)];
    inTest.forEach((count, digit) =>
      expect(count).toBe(Math.round(0.15 * (count + inTrain[digit]))),
    );
  });

  it('gives bytes: 0 is paper, 255 the darkest ink', () => {
    const {train, imageShape} = dataset;
    expect(imageShape).toEqual([28, 28, 1]);
    expect(train.pixels.length).toBe(train.labels.length * 28 * 28);
    expect(train.pixels[0]).toBe(0);
    expect(train.pixels.reduce((most, value) => Math.max(most, value))).toBe(255);
  });
});

describe('withoutDuplicates', () => {
  it('keeps the first of equal images, whatever their labels', () => {
    const images = {
      pixels: Uint8Array.from([1, 2, 3, 4, 1, 2, 1, 3]),
      labels: Uint8Array.from([0, 1, 2, 3]),
    };
    expect(withoutDuplicates(images)).toEqual({
      pixels: Uint8Array.from([1, 2, 3, 4, 1, 3]),
      labels: Uint8Array.from([0, 1, 3]),
    });
  });
});

describe('splitByClass', () => {
  const images = {
    pixels: Uint8Array.from({length: 100}, (_, i) => i),
    labels: Uint8Array.from({length: 100}, (_, i) => (i < 80 ? 0 : 1)),
  };

  it('takes the share of each class, and every image once', () => {
    const {train, test} = splitByClass(images, {testFraction: 0.1, seed: 1});
    expect(countsOf(test).slice(0, 2)).toEqual([8, 2]);
    expect([...train.pixels, ...test.pixels].sort((a, b) => a - b)).toEqual([
      ...images.pixels,
    ]);
  });

  it('depends on the seed', () => {
    const split = (seed: number) => splitByClass(images, {testFraction: 0.1, seed});
    expect(split(1)).toEqual(split(1));
    expect(split(1).test).not.toEqual(split(2).test);
  });
});
