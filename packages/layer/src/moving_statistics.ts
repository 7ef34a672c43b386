import * as tf from '@tensorflow/tfjs-core';
import type {LayerVariable} from '@tensorflow/tfjs-layers';

import {MOVING_STATISTICS, type MovingStatisticsAttrs} from './kernels/kernel.js';
import {runKernel} from './kernels/run_kernel.js';

/** Mean and variance of a batch, [channels] each. */
export interface BatchStatistics {
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
}

/** The non-trainable weights of a layer, by name, and the rule by which a batch changes them. */
export class MovingStatistics {
  /** On the device, so that counting needs no reading back. */
  private readonly skipped: tf.Variable<tf.Rank.R0>;

  constructor(
    private readonly variables: Record<string, LayerVariable>,
    private readonly attrs: MovingStatisticsAttrs,
  ) {
    this.skipped = tf.tidy(() => tf.variable(tf.scalar(0, 'int32'), false));
  }

  /** The current value of a statistic; the live variable, not a copy. */
  read(name: string): tf.Tensor1D {
    return this.variables[name].read() as tf.Tensor1D;
  }

  /** Assigns the values that follow from a batch. */
  update(batch: BatchStatistics): void {
    tf.tidy(() => {
      const variables = Object.entries(this.variables);
      const current = Object.fromEntries(
        variables.map(([name, variable]) => [name, variable.read()]),
      );
      const inputs = {...current, ...batch, skipped: this.skipped};
      const next = runKernel(MOVING_STATISTICS, inputs, this.attrs);
      this.skipped.assign(next.pop() as tf.Scalar);
      variables.forEach(([, variable], i) => variable.write(next[i]));
    });
  }

  /** How many updates were skipped, because the batch's statistics were not finite. */
  async readSkippedCount(): Promise<number> {
    // A clone, as an update may replace the variable's value while it is being read.
    const skipped = tf.clone(this.skipped);
    try {
      return (await skipped.data())[0];
    } finally {
      skipped.dispose();
    }
  }

  /** Disposes what is not one of the layer's weights. */
  dispose(): void {
    this.skipped.dispose();
  }
}
