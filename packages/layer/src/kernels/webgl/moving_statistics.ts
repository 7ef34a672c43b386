/** The moving statistics in fragment shaders, without reading anything back. */
import {followed, type Kernels} from '../kernel.js';
import {isSupported, withRunner} from './backend.js';
import {float, ofVector, perChannelVector} from './texels.js';

/**
 * moving·momentum + batch·(1 − momentum), unless a value of the batch's is not finite: then all
 * stay as they are, and one more batch is skipped. That is the rule of nearly all layers;
 * others are left to the composed kernel.
 */
export const movingStatistics: Kernels['movingStatistics'] = (inputs, attrs, backend) => {
  const {mean, variance, skipped} = inputs;
  const {rule, momentum, skipNonFinite} = attrs;
  const [channels] = mean.shape;
  if (rule !== 'exponential' || !skipNonFinite || !isSupported(channels)) return null;

  return withRunner(backend, runner => {
    const finite = perChannelVector(runner, 1, {
      inputs: {mean, variance},
      functions: `
        // Of the bits of a number: compilers may take it for granted that all are finite.
        bool isFinite(float value) {
          return (floatBitsToUint(value) & 0x7f800000u) != 0x7f800000u;
        }

        bool areFinite(vec2 values, bool isPair) {
          return isFinite(values.x) && (!isPair || isFinite(values.y));
        }

        float batchIsFinite() {
          bool finite = true;
          for (int pair = 0; pair < ${Math.ceil(channels / 2)}; ++pair) {
            bool isPair = 2 * pair + 1 < ${channels};
            finite = finite && areFinite(${ofVector('mean')}, isPair)
                && areFinite(${ofVector('variance')}, isPair);
          }
          return float(finite);
        }
      `,
      values: 'vec2(batchIsFinite(), 0)',
    });
    const isFinite = 'texelFetch(finite, ivec2(0), 0).x == 1.';
    const next = (name: string) =>
      perChannelVector(runner, channels, {
        inputs: {moving: inputs[name], batch: inputs[followed[name]], finite},
        code: `
          vec2 current = ${ofVector('moving')};
          vec2 next = current * ${float(momentum)}
              + ${ofVector('batch')} * ${float(1 - momentum)};
        `,
        values: `${isFinite} ? next : current`,
      });
    const nextSkipped = runner.run({
      inputs: {skipped, finite},
      shape: skipped.shape,
      code: `
        void main() {
          setOutput(texelFetch(skipped, ivec2(0), 0) + vec4(${isFinite} ? 0 : 1));
        }
      `,
    });
    // In the order of the inputs.
    const names = Object.keys(inputs).filter(name => name in followed);
    return [...names.map(next), nextSkipped];
  });
};
