import {isBitExact} from './save_checks.js';

const floats = (...values: number[]) => Float32Array.from(values);

describe('isBitExact', () => {
  it('takes values that are the same, wherever they lie', () => {
    const part = floats(9, 1, NaN, 9).subarray(1, 3);
    expect(isBitExact(part, floats(1, NaN))).toBe(true);
  });

  it.each([
    ['a bit off', floats(1), floats(1 + 2 ** -23)],
    ['0 and −0', floats(0), floats(-0)],
    ['of another length', floats(1), floats(1, 1)],
    ['missing', floats(1), undefined],
  ])('does not take what is %s', (_, a, b) => {
    expect(isBitExact(a, b)).toBe(false);
  });
});
