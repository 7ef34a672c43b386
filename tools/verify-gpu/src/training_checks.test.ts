import {growth, inWholeBatches} from './training_checks.js';

describe('growth', () => {
  it.each([
    ['constant', [7, 7, 7, 7], 0],
    ['risen at the start', [1, 7, 7, 7], 0],
    ['going up and down', [5, 7, 5, 7, 5], 0],
    ['leaking', [1, 2, 3, 4], 2],
    ['falling', [4, 4, 3, 3], -1],
    ['an odd number of samples', [1, 1, 3], 2],
  ])('%s', (_, samples, expected) => {
    expect(growth(samples)).toBe(expected);
  });

  it('is NaN without enough samples to tell', () => {
    expect(growth([])).toBeNaN();
    expect(growth([1])).not.toBeLessThanOrEqual(0);
  });
});

describe('inWholeBatches', () => {
  const images = (count: number) => ({
    pixels: new Uint8Array(2 * count).fill(9),
    labels: Uint8Array.from({length: count}, (_, i) => i),
  });
  const datasetOf = (count: number) => ({
    title: 'digits',
    imageShape: [2, 1, 1] as [number, number, number],
    numClasses: 10,
    train: images(count),
    test: images(3),
  });

  it.each([
    ['what is left over', 10, 4, 8],
    ['nothing where nothing is left over', 12, 4, 12],
  ])('leaves out %s', (_, count, batchSize, expected) => {
    const {train, test} = inWholeBatches(datasetOf(count), batchSize);
    expect(train).toEqual(images(expected));
    expect(test).toEqual(images(3));
  });
});
