/** The kernels that compute what the backend's own did, in a faster way. */
import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';

import {Random} from '../test/random';

declare const backendUnderTest: string;

const random = new Random(9);
const tensor = (shape: number[]) =>
  tf.tensor(random.values(tf.util.sizeFromShape(shape)), shape);

/** Values and leaks: what `f` returns is compared, and nothing else may be left. */
async function check(f: () => tf.Tensor, expected: ArrayLike<number>): Promise<void> {
  const count = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()];
  const before = count();
  const result = tf.tidy(f);
  await expect(result).toBeAllclose(expected, {rtol: 1e-5, atol: 1e-5});
  result.dispose();
  expect(count()).toEqual(before);
}

describe('sum', () => {
  const shape = [5, 4, 7, 6];

  it.each([[0], [0, 1], [1, 0], [0, 1, 2], [-4, 1], [1], [3], [0, 3], [0, 1, 2, 3]])(
    'over the axes %s %s %s %s equals its definition',
    async (...axes) => {
      const reduced = axes.filter(Number.isInteger).map(axis => (axis + 4) % 4);
      const x = tensor(shape);
      const values = x.dataSync();
      const strides = tf.util.computeStrides(shape);
      const outShape = shape.map((size, axis) => (reduced.includes(axis) ? 1 : size));
      const outStrides = [...tf.util.computeStrides(outShape), 1];
      const expected = new Float64Array(tf.util.sizeFromShape(outShape));
      values.forEach((value, i) => {
        const place = tf.util
          .indexToLoc(i, 4, strides)
          .map((at, axis) => (reduced.includes(axis) ? 0 : at * outStrides[axis]));
        expected[place.reduce((a, b) => a + b)] += value;
      });
      await check(() => tf.sum(x, reduced), expected);
      const kept = tf.sum(x, reduced, true);
      expect(kept.shape).toEqual(outShape);
      tf.dispose([x, kept]);
    },
  );

  it('of more rows than are looked at together is exact', async () => {
    const x = tf.fill([70000, 6], 0.1);
    await check(() => tf.sum(x, 0), new Float64Array(6).fill(70000 * Math.fround(0.1)));
    x.dispose();
  });

  it('of integers stays integer', () => {
    tf.tidy(() => {
      const y = tf.sum(
        tf.tensor2d(
          [
            [1, 2],
            [3, 4],
          ],
          [2, 2],
          'int32',
        ),
        0,
      );
      expect(y.dtype).toBe('int32');
      expect(Array.from(y.dataSync())).toEqual([4, 6]);
    });
  });
});

describe('matMul', () => {
  /** The product by its definition; both factors have one matrix, or two. */
  function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean) {
    const at = (values: ArrayLike<number>, shape: number[], isTransposed: boolean) => {
      const [rows, columns] = shape.slice(-2);
      return (matrix: number, i: number, k: number) =>
        values[
          matrix * rows * columns + (isTransposed ? k * columns + i : i * columns + k)
        ];
    };
    const left = at(a.dataSync(), a.shape, transposeA);
    const right = at(b.dataSync(), b.shape, transposeB);
    const [height, depth, width] = [5, 60, 4];
    const result: number[] = [];
    for (let matrix = 0; matrix * height * depth < a.size; matrix++) {
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) {
          let sum = 0;
          for (let k = 0; k < depth; k++) sum += left(matrix, i, k) * right(matrix, k, j);
          result.push(sum);
        }
      }
    }
    return result;
  }

  const flags = [false, true];
  const cases = [[], [1], [2], [2, 1]].flatMap(batch =>
    flags.flatMap(ofA => flags.map(ofB => ({batch, ofA, ofB}))),
  );
  it.each(cases)(
    'of batches $batch, transposed $ofA and $ofB',
    async ({batch, ofA, ofB}) => {
      const a = tensor([...batch, ...(ofA ? [60, 5] : [5, 60])]);
      const b = tensor([...batch, ...(ofB ? [4, 60] : [60, 4])]);
      await check(() => tf.matMul(a, b, ofA, ofB), product(a, b, ofA, ofB));
      const c = tf.matMul(a, b, ofA, ofB);
      expect(c.shape).toEqual([...batch, 5, 4]);
      tf.dispose([a, b, c]);
    },
  );

  it('refuses matrices that do not fit, and leaks nothing', () => {
    tf.tidy(() => {
      const inputs = {a: tensor([3, 4]), b: tensor([3, 4])};
      const before = tf.engine().backend.numDataIds();
      expect(() => {
        const attrs = {transposeA: true, transposeB: true};
        tf.engine().runKernel(tf.BatchMatMul, inputs, attrs);
      }).toThrow('inner shapes (3) and (4)');
      expect(tf.engine().backend.numDataIds()).toBe(before);
    });
  });
});

describe('clone', () => {
  it('keeps its values when the original is disposed, and the other way round', async () => {
    const before = tf.engine().backend.numDataIds();
    const original = tf.tensor1d([1, 2, 3]);
    const first = tf.clone(original);
    const second = tf.clone(original);
    original.dispose();
    second.dispose();
    await expect(first).toBeAllclose([1, 2, 3]);
    first.dispose();
    expect(tf.engine().backend.numDataIds()).toBe(before);
  });

  it('is not changed by an assignment to the variable it was made of', async () => {
    const variable = tf.variable(tf.tensor1d([1, 2]));
    const copy = tf.clone(variable);
    variable.assign(tf.tensor1d([5, 6]));
    await expect(copy).toBeAllclose([1, 2]);
    tf.dispose([variable, copy]);
  });

  it('moves to another backend', async () => {
    const original = tf.tensor1d([1, 2, 3]);
    const copy = tf.clone(original);
    await tf.setBackend('cpu');
    const doubled = tf.mul(copy, 2);
    await expect(doubled).toBeAllclose([2, 4, 6]);
    await expect(original).toBeAllclose([1, 2, 3]);
    await tf.setBackend(backendUnderTest);
    const tripled = tf.mul(original, 3);
    await expect(tripled).toBeAllclose([3, 6, 9]);
    tf.dispose([original, copy, doubled, tripled]);
  });

  it('of strings', () => {
    const copy = tf.tidy(() => tf.clone(tf.tensor1d(['a', 'b'])));
    expect(copy.dataSync()).toEqual(['a', 'b']);
    copy.dispose();
  });
});
