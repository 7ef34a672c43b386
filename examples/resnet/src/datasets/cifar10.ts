/**
 * CIFAR-10 in its binary version, from https://www.cs.toronto.edu/~kriz/cifar.html: each
 * record is one byte of label, then 32·32 bytes each of red, green and blue.
 */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {getSystemErrorMap} from 'node:util';

import {type ImageDataset, imageSize, type LabelledImages} from './image_dataset.js';

const imageShape: [number, number, number] = [32, 32, 3];
const numClasses = 10;
const recordSize = 1 + imageSize(imageShape);

const trainFiles = [1, 2, 3, 4, 5].map(i => `data_batch_${i}.bin`);
const testFile = 'test_batch.bin';

/** A file is missing or broken. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
}

/**
 * Loads the six files of a folder.
 *
 * @throws DatasetError that names the file if one is missing, has a wrong size or holds a
 *   label above 9.
 */
export async function loadCifar10(directory: string): Promise<ImageDataset> {
  const train: Buffer[] = [];
  for (const name of trainFiles) train.push(await readRecords(join(directory, name)));
  const test = await readRecords(join(directory, testFile));
  return {
    title: 'CIFAR-10',
    imageShape,
    numClasses,
    train: decode(Buffer.concat(train)),
    test: decode(test),
  };
}

async function readRecords(file: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const {errno, message} = error as NodeJS.ErrnoException;
    const [, reason = message] = getSystemErrorMap().get(errno ?? 0) ?? [];
    throw new DatasetError(`Cannot read CIFAR-10's ${file}: ${reason}`, {cause: error});
  }
  if (bytes.length === 0 || bytes.length % recordSize !== 0) {
    throw new DatasetError(
      `${file} is not a whole number of CIFAR-10 records: expected a multiple of ` +
        `${recordSize} bytes, received ${bytes.length}.`,
    );
  }
  for (let at = 0; at < bytes.length; at += recordSize) {
    if (bytes[at] >= numClasses) {
      throw new DatasetError(
        `${file} is broken: expected labels from 0 to ${numClasses - 1}, received ` +
          `${bytes[at]} in record ${at / recordSize}.`,
      );
    }
  }
  return bytes;
}

/** From planes of one colour to [n, height, width, channels]. */
function decode(records: Buffer): LabelledImages {
  const n = records.length / recordSize;
  const [height, width, channels] = imageShape;
  const plane = height * width;
  const pixels = new Uint8Array(n * plane * channels);
  const labels = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    const from = i * recordSize;
    const to = i * plane * channels;
    labels[i] = records[from];
    for (let channel = 0; channel < channels; channel++) {
      for (let at = 0; at < plane; at++) {
        pixels[to + at * channels + channel] = records[from + 1 + channel * plane + at];
      }
    }
  }
  return {pixels, labels};
}
