/** The matcher for tensors: `await expect(y).toBeAllclose([1, 2], {rtol: 1e-5})`. */
import type {Tensor} from '@tensorflow/tfjs-core';

type Values = Tensor | ArrayLike<number> | number | readonly Values[];

export interface Tolerance {
  /** Largest difference relative to the expected value; default 1e-5. */
  rtol?: number;
  /** Largest absolute difference; default 1e-6. */
  atol?: number;
}

declare global {
  namespace jest {
    interface Matchers<R> {
      /**
       * Passes if |received − expected| ≤ atol + rtol·|expected| for every value, and the
       * shapes are the same where both are tensors. NaN equals NaN.
       */
      toBeAllclose(expected: Values, tolerance?: Tolerance): Promise<R>;
    }
  }
}

function isTensor(values: Values): values is Tensor {
  return typeof values === 'object' && 'dataId' in values;
}

async function flatten(values: Values): Promise<number[]> {
  if (typeof values === 'number') return [values];
  if (isTensor(values)) return Array.from(await values.data());
  const parts: number[][] = [];
  for (const value of Array.from(values as ArrayLike<Values>)) {
    parts.push(await flatten(value));
  }
  return parts.flat();
}

expect.extend({
  async toBeAllclose(
    received: Values,
    expected: Values,
    {rtol = 1e-5, atol = 1e-6}: Tolerance = {},
  ) {
    if (isTensor(received) && isTensor(expected)) {
      const [a, b] = [received.shape, expected.shape].map(shape => JSON.stringify(shape));
      if (a !== b) {
        return {pass: false, message: () => `expected shape ${b}, received shape ${a}`};
      }
    }
    const actual = await flatten(received);
    const wanted = await flatten(expected);
    if (actual.length !== wanted.length) {
      return {
        pass: false,
        message: () => `expected ${wanted.length} values, received ${actual.length}`,
      };
    }
    const isClose = (a: number, b: number) =>
      Object.is(a, b) || Math.abs(a - b) <= atol + rtol * Math.abs(b);
    const wrong = actual.flatMap((a, i) => (isClose(a, wanted[i]) ? [] : [i]));
    const shown = wrong
      .slice(0, 5)
      .map(i => `  [${i}] expected ${wanted[i]}, received ${actual[i]}`);
    return {
      pass: wrong.length === 0,
      message: () =>
        wrong.length === 0
          ? `expected some value to differ by more than rtol ${rtol}, atol ${atol}`
          : `${wrong.length} of ${actual.length} values differ by more than ` +
            `rtol ${rtol}, atol ${atol}:\n${shown.join('\n')}`,
    };
  },
});
