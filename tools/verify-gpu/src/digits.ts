/** Handwritten digits in the shape of CIFAR's images, for a ResNet-20 of the usual size. */
import {
  type ImageDataset,
  type LabelledImages,
  loadDigits,
  normalizationOf,
} from '@resbatchnorm/resnet';

const side = 32;
const channels = 3;

export async function loadPaddedDigits() {
  const digits = await loadDigits();
  const dataset: ImageDataset = {
    ...digits,
    imageShape: [side, side, channels],
    train: padded(digits.train, digits.imageShape),
    test: padded(digits.test, digits.imageShape),
  };
  return {dataset, normalization: normalizationOf(dataset)};
}

/** Grey images amid a border of 0, the same in all channels. */
export function padded(
  {pixels, labels}: LabelledImages,
  [height, width]: readonly number[],
): LabelledImages {
  const [top, left] = [(side - height) >> 1, (side - width) >> 1];
  const result = new Uint8Array(labels.length * side * side * channels);
  pixels.forEach((value, i) => {
    const [n, y, x] = [
      Math.floor(i / (height * width)),
      Math.floor(i / width) % height,
      i % width,
    ];
    const at = ((n * side + top + y) * side + left + x) * channels;
    result.fill(value, at, at + channels);
  });
  return {pixels: result, labels};
}
