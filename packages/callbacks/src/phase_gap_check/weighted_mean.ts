import * as tf from '@tensorflow/tfjs-core';

/** The weighted mean of tensors of one shape, kept on the device until it is read. */
export class WeightedMean {
  private sum: tf.Tensor | null = null;
  private weight = 0;

  /** May be called inside of any tidy. */
  add(tensor: tf.Tensor, weight: number): void {
    const previous = this.sum;
    this.sum = tf.tidy(() => {
      const term = tf.mul(tensor, weight);
      return tf.keep(previous === null ? term : tf.add(previous, term));
    });
    previous?.dispose();
    this.weight += weight;
  }

  /** Undefined if nothing was added. */
  async read(): Promise<number[] | undefined> {
    const values = await this.sum?.data();
    return values && Array.from(values, value => value / this.weight);
  }

  dispose(): void {
    this.sum?.dispose();
    this.sum = null;
  }
}
