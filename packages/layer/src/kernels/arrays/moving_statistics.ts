import type {ChannelView} from '../channel_view.js';
import type {Kernels} from '../kernel.js';
import type {Host} from './host.js';

/** Which statistic of the batch each moving one follows, by the rule `exponential`. */
const followed: Record<string, 'mean' | 'variance'> = {
  moving_mean: 'mean',
  moving_variance: 'variance',
};

const areFinite = (values: Float32Array) => values.every(value => Number.isFinite(value));

/** The rule `exponential`; the formula is that of composed/moving_statistics.ts. */
export const movingStatistics =
  (host: Host): Kernels['movingStatistics'] =>
  (inputs, {rule, momentum, skipNonFinite}, backend) => {
    if (rule !== 'exponential') return null;
    const names = Object.keys(inputs).filter(name => name in followed);
    const like = [...names.map(name => inputs[name]), inputs.skipped];
    const view: ChannelView = [1, inputs.mean.shape[0], 1];
    return host(backend, inputs, like, view, (arrays, outputs) => {
      const {mean, variance, skipped} = arrays;
      const isSkipped = skipNonFinite && !(areFinite(mean) && areFinite(variance));
      names.forEach((name, i) => {
        const moving = arrays[name];
        const batch = arrays[followed[name]];
        const next = outputs[i];
        for (let c = 0; c < next.length; ++c) {
          next[c] = isSkipped
            ? moving[c]
            : moving[c] * momentum + batch[c] * (1 - momentum);
        }
      });
      outputs.at(-1)![0] = skipped[0] + (isSkipped ? 1 : 0);
    });
  };
