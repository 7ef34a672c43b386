import * as tf from '@tensorflow/tfjs-core';

/** Of the values of each channel; [channels] each. */
export type Moments = {
  mean: tf.Tensor;
  /** Biased. */
  variance: tf.Tensor;
  /** How many values there are; a scalar if they are as many in each channel. */
  count: tf.Tensor;
};

/**
 * Mean and variance of all values of several batches, from those of each batch. With w the
 * batch's part of all values so far and d its mean less that of the others,
 *
 *     mean     += w·d
 *     variance += w·(variance of the batch − variance) + w·(1 − w)·d²
 *
 * in which, unlike in E[x²] − E[x]², nothing cancels.
 *
 * Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
 * Sample Variances", 1979.
 */
export class PooledMoments {
  private state: Moments | null = null;
  private added = 0;

  /** How many batches were added. */
  get batches(): number {
    return this.added;
  }

  /** Null before the first batch. The tensors stay this object's. */
  get moments(): Moments | null {
    return this.state;
  }

  add(batch: Moments): void {
    const previous = this.state;
    this.state = tf.tidy(() =>
      keepAll(previous === null ? batch : pool(previous, batch)),
    );
    if (previous !== null) tf.dispose({...previous});
    ++this.added;
  }

  dispose(): void {
    if (this.state !== null) tf.dispose({...this.state});
    this.state = null;
  }
}

function pool({mean, variance, count}: Moments, batch: Moments): Moments {
  const total = tf.add(count, batch.count);
  // A batch may be masked as a whole.
  const w = tf.divNoNan(batch.count, total);
  const d = tf.sub(batch.mean, mean);
  const within = tf.mul(tf.sub(batch.variance, variance), w);
  const between = tf.mul(tf.square(d), tf.mul(w, tf.sub(1, w)));
  return {
    mean: tf.add(mean, tf.mul(w, d)),
    variance: tf.add(variance, tf.add(within, between)),
    count: total,
  };
}

/** Clones, kept when the tidy around them ends. */
function keepAll({mean, variance, count}: Moments): Moments {
  const kept = (tensor: tf.Tensor) => tf.keep(tf.clone(tensor));
  return {mean: kept(mean), variance: kept(variance), count: kept(count)};
}
