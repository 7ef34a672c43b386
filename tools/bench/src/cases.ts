/** What is measured: the batches of a norm, the calls, and the networks. */

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

/** So small that a call takes what is around the kernels, and they hardly anything. */
export const smallShape: readonly number[] = [2, 4, 4, 8];

/** How a layer is called: in training mode forward and backward, in inference mode forward. */
export const phases = ['training', 'inference'] as const;
export type Phase = (typeof phases)[number];

/** That images are sorted into. */
export const numClasses = 10;

/** One of networks.ts, by its name. */
export type NetworkName = 'ResNet-8' | 'ResNet-20' | 'ResNet-50 style';

/** An image network, and the batch that it is called with. */
export interface Network<Name = NetworkName> {
  name: Name;
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

/** What is trained on several replicas, by each with a batch of so many. */
export const distributedNetworks: readonly Network[] = [
  {...resNet8, batchSize: 64},
  resNet20,
];

export const replicaCounts = [1, 2, 4] as const;

/** The one of mobile_net.ts. */
export type InferenceNetwork = Network<'MobileNet style'>;

/** Small images, as for a network so narrow. */
export const inferenceNetworks: readonly InferenceNetwork[] = [1, 16].map(batchSize => ({
  name: 'MobileNet style',
  imageShape: [96, 96, 3],
  batchSize,
}));

/** ResNet-20, 64 of 32×32×3 */
export function networkTitle({
  name,
  batchSize,
  imageShape,
}: Network<NetworkName | InferenceNetwork['name']>): string {
  return `${name}, ${batchSize} of ${imageShape.join('×')}`;
}
