import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/**
 * Ends training with an error in the first step that leaves a weight not finite. The loss
 * would not tell: the wasm backend clips a NaN probability to a finite one.
 */
export class StopOnDivergence extends tfl.Callback {
  private epoch = 0;

  override async onEpochBegin(epoch: number): Promise<void> {
    this.epoch = epoch;
  }

  override async onBatchEnd(batch: number): Promise<void> {
    // One number to read back: a sum is finite only where all that it adds is.
    const total = tf.tidy(() =>
      tf.addN(this.model.trainableWeights.map(weight => tf.sum(weight.read()))),
    );
    const [value] = await total.data();
    total.dispose();
    if (!Number.isFinite(value)) {
      throw new Error(
        `Training has diverged: weights are not finite after epoch ${this.epoch + 1}, ` +
          `batch ${batch + 1}. Try a smaller --learning-rate.`,
      );
    }
  }
}
