import * as tf from '@tensorflow/tfjs-core';
import type {LayerVariable} from '@tensorflow/tfjs-layers';

import {MOVING_STATISTICS} from './kernels/kernel.js';
import {runKernel} from './kernels/run_kernel.js';

/** Mean and biased variance of a batch, [channels] each. */
export interface BatchStatistics {
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
}

export interface MovingStatisticsOptions {
  /** Weight of the old value. */
  momentum: number;
  /** Whether a batch whose statistics are not finite leaves the moving ones as they are. */
  skipNonFinite: boolean;
}

/** The moving mean and variance of a layer, and how a batch changes them. */
export class MovingStatistics {
  /** On the device, so that counting needs no reading back. */
  private readonly skipped: tf.Variable<tf.Rank.R0>;

  constructor(
    private readonly mean: LayerVariable,
    private readonly variance: LayerVariable,
    private readonly options: MovingStatisticsOptions,
  ) {
    this.skipped = tf.tidy(() => tf.variable(tf.scalar(0, 'int32'), false));
  }

  read(): BatchStatistics {
    return {
      mean: this.mean.read() as tf.Tensor1D,
      variance: this.variance.read() as tf.Tensor1D,
    };
  }

  /** Assigns moving·momentum + batch·(1 − momentum) to both statistics. */
  update(batch: BatchStatistics): void {
    tf.tidy(() => {
      const moving = this.read();
      const [mean, variance, skipped] = runKernel(
        MOVING_STATISTICS,
        {
          movingMean: moving.mean,
          movingVariance: moving.variance,
          ...batch,
          skipped: this.skipped,
        },
        {...this.options},
      );
      this.mean.write(mean);
      this.variance.write(variance);
      this.skipped.assign(skipped as tf.Scalar);
    });
  }

  /** How many updates were skipped, because the batch's statistics were not finite. */
  async readSkippedCount(): Promise<number> {
    return (await this.skipped.data())[0];
  }

  /** Disposes what is not one of the layer's weights. */
  dispose(): void {
    this.skipped.dispose();
  }
}
