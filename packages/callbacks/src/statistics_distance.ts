/** How far apart the statistics of a batch and the moving statistics are. */

/** Mean and variance, a value a channel each. */
export interface Statistics {
  mean: ArrayLike<number>;
  variance: ArrayLike<number>;
}

export interface StatisticsDistance {
  mean: number;
  variance: number;
}

/**
 * The distance of moving statistics from those of a batch, in what it does to the output.
 * A channel of the batch that training mode normalizes to x̂ is in inference mode
 *
 *     (x − moving_mean)/√(moving_variance + epsilon) = scale·x̂ + offset
 *     offset = (mean − moving_mean)/√(moving_variance + epsilon)
 *     scale  = √((variance + epsilon)/(moving_variance + epsilon))
 *
 * so that offset = 0 and ln(scale) = 0 where the two agree. `mean` is the root mean square over
 * the channels of the offset, `variance` that of ln(scale): 0.1 is a scale that is 10 % off.
 * A value that is not finite makes the distance NaN or infinite.
 */
export function statisticsDistance(
  batch: Statistics,
  moving: Statistics,
  epsilon: number,
): StatisticsDistance {
  const channels = Array.from(moving.mean, (_, i) => i);
  const stddevs = channels.map(i => Math.sqrt(moving.variance[i] + epsilon));
  return {
    mean: rootMeanSquare(
      channels.map(i => (batch.mean[i] - moving.mean[i]) / stddevs[i]),
    ),
    variance: rootMeanSquare(
      channels.map(i => Math.log(Math.sqrt(batch.variance[i] + epsilon) / stddevs[i])),
    ),
  };
}

function rootMeanSquare(values: number[]): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
}

/**
 * The statistics of the batch that moved the moving ones from `before` to `after` by
 *
 *     after = before·momentum + batch·(1 − momentum)
 *
 * in float32, whose rounding error grows by 1/(1 − momentum). Undefined if momentum is 1.
 */
export function batchFromChange(
  before: Statistics,
  after: Statistics,
  momentum: number,
): Statistics | undefined {
  if (momentum === 1) return undefined;
  const solve = (from: ArrayLike<number>, to: ArrayLike<number>) =>
    Array.from(to, (value, i) => from[i] + (value - from[i]) / (1 - momentum));
  return {
    mean: solve(before.mean, after.mean),
    // Rounding must not make it negative.
    variance: solve(before.variance, after.variance).map(value => Math.max(value, 0)),
  };
}
