import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/**
 * Sets the learning rate of each step: half a cosine from the largest rate down to 0
 * (Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017;
 * here without restarts).
 */
export class CosineSchedule extends tfl.Callback {
  /** @param step How many steps are done already, of a training that is resumed. */
  constructor(
    private readonly optimizer: tf.MomentumOptimizer,
    private readonly largestRate: number,
    private readonly totalSteps: number,
    private step = 0,
  ) {
    super();
  }

  override async onBatchBegin(): Promise<void> {
    this.optimizer.setLearningRate(
      cosineRate(this.largestRate, this.step++, this.totalSteps),
    );
  }
}

/** rate(step) = largest · (1 + cos(π · step/totalSteps))/2 */
export function cosineRate(largest: number, step: number, totalSteps: number): number {
  return (largest * (1 + Math.cos((Math.PI * step) / totalSteps))) / 2;
}
