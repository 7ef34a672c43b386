/** What is measured: the batches of a norm, the networks, and how both are called. */

/** Channels last, as TensorFlow.js has them: what the layers of a ResNet-20, of a
 * ResNet-50 and of a dense network give a norm. */
export const normShapes: readonly number[][] = [
  [32, 32, 32, 16],
  [32, 16, 16, 32],
  [32, 8, 8, 64],
  [16, 56, 56, 64],
  [16, 14, 14, 256],
  [256, 512],
];

export const quickShapes: readonly number[][] = [
  [32, 32, 32, 16],
  [256, 512],
];

export function shapeName(shape: readonly number[]): string {
  return shape.join('×');
}

export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return shapeName(a) === shapeName(b);
}

export const directions = ['forward', 'forward + backward'] as const;
export type Direction = (typeof directions)[number];

/** One of networks.ts, by its name. */
export type NetworkName = 'ResNet-8' | 'ResNet-20' | 'ResNet-50 style';

/** How an image network is trained. */
export interface Network {
  name: NetworkName;
  /** Height, width, channels. */
  imageShape: [number, number, number];
  batchSize: number;
}

/** What the trainer trains on its digits, unless told otherwise. */
export const resNet8: Network = {
  name: 'ResNet-8',
  imageShape: [28, 28, 1],
  batchSize: 32,
};

export const resNet20: Network = {
  name: 'ResNet-20',
  imageShape: [32, 32, 3],
  batchSize: 64,
};

/** Images so small, and so few, that a CPU takes seconds for a step. */
export const resNet50: Network = {
  name: 'ResNet-50 style',
  imageShape: [64, 64, 3],
  batchSize: 8,
};

/** ResNet-20, 64 of 32×32×3 */
export function networkTitle({name, batchSize, imageShape}: Network): string {
  return `${name}, ${batchSize} of ${imageShape.join('×')}`;
}
