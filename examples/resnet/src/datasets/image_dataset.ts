/** What every dataset comes as: bytes, so that 60,000 colour images fit in memory. */

export interface LabelledImages {
  /** Shape [n, height, width, channels], flat; 0 to 255. */
  pixels: Uint8Array;
  /** Shape [n]; 0 to numClasses − 1. */
  labels: Uint8Array;
}

export interface ImageDataset {
  /** As a user would call it. */
  title: string;
  /** Height, width, channels. */
  imageShape: [number, number, number];
  numClasses: number;
  train: LabelledImages;
  test: LabelledImages;
}

/** The number of bytes of one image. */
export function imageSize([height, width, channels]: [number, number, number]): number {
  return height * width * channels;
}

/** The images at the given indices, in that order. */
export function pick(
  {pixels, labels}: LabelledImages,
  indices: ArrayLike<number>,
): LabelledImages {
  const size = pixels.length / labels.length;
  const picked: LabelledImages = {
    pixels: new Uint8Array(indices.length * size),
    labels: new Uint8Array(indices.length),
  };
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i] * size;
    picked.pixels.set(pixels.subarray(from, from + size), i * size);
    picked.labels[i] = labels[indices[i]];
  }
  return picked;
}

/** The first n images, or all where there are fewer. The memory is shared. */
export function firstImages({pixels, labels}: LabelledImages, n: number): LabelledImages {
  const size = pixels.length / labels.length;
  return {pixels: pixels.subarray(0, n * size), labels: labels.subarray(0, n)};
}
