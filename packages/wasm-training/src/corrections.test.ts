/**
 * What the wasm backend of tfjs 4.22 computes wrongly, or writes past the end of an output
 * for: each of these fails without this package.
 */
import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';

import {Random} from '../test/random';
import {convGradients, convolve, ConvCase, convOutShape} from '../test/reference';

const random = new Random(6);
const values = (shape: number[]) => random.values(tf.util.sizeFromShape(shape));

/** A convolution and its gradients equal their definitions. */
async function checkConv(
  convCase: ConvCase,
  conv: (x: tf.Tensor, filter: tf.Tensor) => tf.Tensor,
): Promise<void> {
  const [x, filter] = [convCase.inputShape, convCase.filterShape].map(values);
  const outShape = convOutShape(convCase);
  const dy = values(outShape);
  const [y, dx, dFilter] = tf.tidy(() => {
    const inputs = [
      tf.tensor(x, convCase.inputShape),
      tf.tensor(filter, convCase.filterShape),
    ];
    const gradients = tf.grads(conv)(inputs, tf.tensor(dy, outShape));
    return [conv(inputs[0], inputs[1]), ...gradients];
  });
  expect(y.shape).toEqual(outShape);
  await expect(y).toBeAllclose(convolve(convCase, {x, filter}));
  const expected = convGradients(convCase, {x, filter, dy});
  await expect(dx).toBeAllclose(expected.dx);
  await expect(dFilter).toBeAllclose(expected.dFilter);
  tf.dispose([y, dx, dFilter]);
}

const plain = {dilations: [1, 1], depthwise: false};

describe("'same' with a stride above a dimension of the filter", () => {
  it('in conv2d', async () => {
    await checkConv(
      {
        ...plain,
        inputShape: [1, 4, 6, 3],
        filterShape: [2, 2, 3, 2],
        strides: [3, 3],
        pad: 'same',
      },
      (x, filter) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 3, 'same'),
    );
  });

  it('in depthwiseConv2d', async () => {
    await checkConv(
      {
        ...plain,
        depthwise: true,
        inputShape: [3, 8, 4, 1],
        filterShape: [1, 2, 1, 1],
        strides: [2, 2],
        pad: 'same',
      },
      (x, filter) =>
        tf.depthwiseConv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 2, 'same'),
    );
  });

  it('in the fused kernels, that models predict by', async () => {
    const x = tf.tensor4d(values([1, 4, 6, 3]), [1, 4, 6, 3]);
    const filter = tf.tensor4d(values([2, 2, 3, 2]), [2, 2, 3, 2]);
    const fused = {x, filter, strides: 3, pad: 'same', activation: 'relu'} as const;
    const y = tf.tidy(() => [
      tf.fused.conv2d(fused),
      tf.fused.depthwiseConv2d(fused),
      tf.relu(
        tf.conv2d(
          tf.pad(x, [
            [0, 0],
            [0, 1],
            [0, 0],
            [0, 0],
          ]),
          filter,
          3,
          'valid',
        ),
      ),
      tf.relu(
        tf.depthwiseConv2d(
          tf.pad(x, [
            [0, 0],
            [0, 1],
            [0, 0],
            [0, 0],
          ]),
          filter,
          3,
          'valid',
        ),
      ),
    ]);
    await expect(y[0]).toBeAllclose(y[2]);
    await expect(y[1]).toBeAllclose(y[3]);
    tf.dispose([x, filter, ...y]);
  });

  it('in conv3d', async () => {
    await checkConv(
      {
        dilations: [1, 1, 1],
        depthwise: false,
        inputShape: [2, 4, 6, 3, 2],
        filterShape: [1, 2, 2, 2, 3],
        strides: [2, 3, 2],
        pad: 'same',
      },
      (x, filter) =>
        tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, [2, 3, 2], 'same'),
    );
  });
});

describe('a padding in one number', () => {
  it.each([
    {filter: [2, 4], strides: [1, 1]},
    {filter: [4, 1], strides: [1, 1]},
    {filter: [3, 3], strides: [1, 3]},
    {filter: [5, 1], strides: [3, 1]},
  ])('with filter $filter, strides $strides', async ({filter, strides}) => {
    for (const depthwise of [false, true]) {
      const convCase = {
        ...plain,
        depthwise,
        inputShape: [2, 7, 8, 3],
        filterShape: [...filter, 3, 2],
        strides,
        pad: 1,
      };
      const stride = strides as [number, number];
      await checkConv(convCase, (x, f) =>
        depthwise
          ? tf.depthwiseConv2d(x as tf.Tensor4D, f as tf.Tensor4D, stride, 1)
          : tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, stride, 1),
      );
    }
  });

  it('of a window of another height than width, max and mean', async () => {
    const x = tf.tensor4d([1, 2, 3, 4, 5, 6], [1, 2, 3, 1]);
    const pooled = tf.tidy(() => [
      tf.maxPool(x, [2, 3], 1, 1),
      tf.avgPool(x, [2, 3], 1, 1),
      tf.grad(image => tf.avgPool(image as tf.Tensor4D, [2, 3], 1, 1))(x),
    ]);
    expect(pooled[0].shape).toEqual([1, 3, 3, 1]);
    await expect(pooled[0]).toBeAllclose([2, 3, 3, 5, 6, 6, 5, 6, 6]);
    await expect(pooled[1]).toBeAllclose([1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5]);
    const [outer, middle] = [1 / 2 + 1 / 3 + 1 / 4 + 1 / 6, 1 / 2 + 1 / 3 + 1 / 2];
    const sides = outer;
    const centre = middle + 1 / 4 + 1 / 6 + 1 / 4;
    await expect(pooled[2]).toBeAllclose([sides, centre, sides, sides, centre, sides]);
    tf.dispose([x, ...pooled]);
  });
});

it('an output whose size is rounded up is written in full, and no further', async () => {
  for (const dimRoundingMode of ['ceil', 'round'] as const) {
    await checkConv(
      {
        ...plain,
        inputShape: [1, 6, 5, 2],
        filterShape: [2, 2, 2, 3],
        strides: [3, 2],
        pad: 0,
        dimRoundingMode,
      },
      (x, filter) =>
        tf.conv2d(
          x as tf.Tensor4D,
          filter as tf.Tensor4D,
          [3, 2],
          0,
          'NHWC',
          [1, 1],
          dimRoundingMode,
        ),
    );
  }
});

describe('average pooling', () => {
  it("divides the gradient by the values in the window, with 'same'", async () => {
    const dx = tf.tidy(() => {
      const x = tf.zeros([1, 3, 3, 1]) as tf.Tensor4D;
      return tf.grad(image => tf.avgPool(image as tf.Tensor4D, 2, 2, 'same'))(x);
    });
    await expect(dx).toBeAllclose([0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5, 1]);
    dx.dispose();
  });

  it("divides so in three dimensions, and has windows as TensorFlow's", async () => {
    const [y, dx, strided] = tf.tidy(() => {
      const x = tf.tensor5d([1, 2, 3], [1, 1, 1, 3, 1]);
      const pool = (image: tf.Tensor) =>
        tf.avgPool3d(image as tf.Tensor5D, [1, 1, 2], 2, 'same');
      const line = tf.tensor5d([1, 2, 3, 4], [1, 1, 1, 4, 1]);
      return [pool(x), tf.grad(pool)(x), tf.avgPool3d(line, 1, 2, 'same')];
    });
    await expect(y).toBeAllclose([1.5, 3]);
    await expect(dx).toBeAllclose([0.5, 0.5, 1]);
    await expect(strided).toBeAllclose([1, 3]);
    tf.dispose([y, dx, strided]);
  });
});

describe('max pooling', () => {
  it('of negative values, in three dimensions and with indices', async () => {
    const [y, dx, result, indexes] = tf.tidy(() => {
      const x = tf.tensor4d([-3, -1, -2, -4], [1, 2, 2, 1]);
      const pool = (image: tf.Tensor) =>
        tf.maxPool3d(image as tf.Tensor5D, [1, 2, 2], 1, 'valid');
      const image = tf.reshape(x, [1, 1, 2, 2, 1]) as tf.Tensor5D;
      const withIndices = tf.maxPoolWithArgmax(x, 2, 2, 'valid');
      return [
        pool(image),
        tf.grad(pool)(image),
        withIndices.result,
        withIndices.indexes,
      ] as tf.Tensor[];
    });
    await expect(y).toBeAllclose([-1]);
    await expect(dx).toBeAllclose([0, 1, 0, 0]);
    await expect(result).toBeAllclose([-1]);
    await expect(indexes).toBeAllclose([1]);
    tf.dispose([y, dx, result, indexes]);
  });

  it('shows a NaN, as a number would hide it', async () => {
    const [y, dx] = tf.tidy(() => {
      const x = tf.tensor4d([NaN, 1, 2, 3, 1, 2, 3, NaN], [2, 2, 2, 1]);
      const pool = (image: tf.Tensor) => tf.maxPool(image as tf.Tensor4D, 2, 2, 'valid');
      return [pool(x), tf.grad(pool)(x)];
    });
    await expect(y).toBeAllclose([NaN, NaN]);
    await expect(dx).toBeAllclose([1, 0, 0, 0, 0, 0, 0, 1]);
    tf.dispose([y, dx]);
  });
});

it('the gradients of conv3d sum over all that its windows meet', async () => {
  for (const strides of [1, 2]) {
    await checkConv(
      {
        dilations: [1, 1, 1],
        depthwise: false,
        inputShape: [2, 5, 6, 4, 2],
        filterShape: [3, 2, 3, 2, 3],
        strides: [strides, strides, strides],
        pad: 'same',
      },
      (x, filter) => tf.conv3d(x as tf.Tensor5D, filter as tf.Tensor5D, strides, 'same'),
    );
  }
});

describe('activations of the fused kernels', () => {
  const fuse = (args: object) =>
    tf.tidy(() => {
      const x = tf.tensor4d([-1, 1, -2, 2], [1, 2, 2, 1]);
      const filter = tf.tensor4d([1, 10], [1, 1, 1, 2]);
      return tf.fused.conv2d({x, filter, strides: 1, pad: 'valid', ...args});
    });

  it('leakyrelu has the slope of training, 0.2', async () => {
    const y = fuse({activation: 'leakyrelu'});
    await expect(y).toBeAllclose([-0.2, -2, 1, 10, -0.4, -4, 2, 20]);
    y.dispose();
  });

  it('prelu has slopes for each row', async () => {
    const slopes = tf.tensor3d([0.1, 0.2, 0.3, 0.4], [2, 1, 2]);
    const y = fuse({activation: 'prelu', preluActivationWeights: slopes});
    await expect(y).toBeAllclose([-0.1, -2, 1, 10, -0.6, -8, 2, 20]);
    tf.dispose([slopes, y]);
  });

  it('slopes without prelu change nothing', async () => {
    const slopes = tf.scalar(0.5);
    const y = fuse({activation: 'relu', preluActivationWeights: slopes});
    await expect(y).toBeAllclose([0, 0, 1, 10, 0, 0, 2, 20]);
    tf.dispose([slopes, y]);
  });

  it('a bias of one value is for all channels, as in training', async () => {
    const bias = tf.tensor1d([3]);
    const y = fuse({bias});
    await expect(y).toBeAllclose([2, -7, 4, 13, 1, -17, 5, 23]);
    tf.dispose([bias, y]);
  });

  it('a bias that was reshaped is one of channels', async () => {
    const [table, bias] = tf.tidy(() => {
      const row = tf.tensor2d([[1, 2]]);
      return [row, tf.reshape(row, [2])];
    });
    const y = fuse({bias});
    await expect(y).toBeAllclose([0, -8, 2, 12, -1, -18, 3, 22]);
    tf.dispose([table, bias, y]);
  });
});

it('tf.prelu has slopes for each row', async () => {
  const y = tf.tidy(() =>
    tf.prelu(tf.fill([1, 2, 2, 2], -1), tf.tensor3d([0.1, 0.2, 0.3, 0.4], [2, 1, 2])),
  );
  await expect(y).toBeAllclose([-0.1, -0.2, -0.1, -0.2, -0.3, -0.4, -0.3, -0.4]);
  y.dispose();
});
