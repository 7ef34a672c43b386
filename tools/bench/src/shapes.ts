/** The batches that a norm is measured on: channels last, as TensorFlow.js has them. */

/** What the layers of a ResNet-20, of a ResNet-50 and of a dense network give it. */
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
