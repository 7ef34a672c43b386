import * as tf from '@tensorflow/tfjs-core';

import {
  ConvCase,
  ConvValues,
  convGradients,
  convOutShape,
  randomConvCase,
  randomConvValues,
} from '../test/reference';
import {Random} from '../test/random';

const kernelNames = {
  convolution: [tf.Conv2DBackpropFilter, tf.Conv2DBackpropInput],
  depthwise: [
    tf.DepthwiseConv2dNativeBackpropFilter,
    tf.DepthwiseConv2dNativeBackpropInput,
  ],
} as const;

/** dFilter and dx by the current backend's kernels. */
function kernelGradients(convCase: ConvCase, values: ConvValues) {
  const {inputShape, filterShape, strides, dilations, pad, depthwise} = convCase;
  const names = depthwise ? kernelNames.depthwise : kernelNames.convolution;
  const dimRoundingMode = typeof pad === 'string' ? undefined : 'floor';
  const attrs = depthwise
    ? {strides, pad, dimRoundingMode, dilations}
    : {strides, pad, dimRoundingMode, dataFormat: 'NHWC'};
  const x = tf.tensor(values.x, inputShape);
  const filter = tf.tensor(values.filter, filterShape);
  const dy = tf.tensor(values.dy, convOutShape(convCase));
  const run = (name: string, inputs: tf.NamedTensorMap, shape: object) =>
    tf
      .engine()
      .runKernel(name, inputs, {...attrs, ...shape} as unknown as tf.NamedAttrMap);
  return {
    dFilter: run(names[0], {x, dy}, {filterShape}) as tf.Tensor,
    dx: run(names[1], {dy, filter}, {inputShape}) as tf.Tensor,
  };
}

async function checkCase(convCase: ConvCase, random: Random): Promise<void> {
  const values = randomConvValues(random, convCase);
  const expected = convGradients(convCase, values);
  const {dFilter, dx} = tf.tidy(() => kernelGradients(convCase, values));
  expect(dFilter.shape).toEqual(convCase.filterShape);
  expect(dx.shape).toEqual(convCase.inputShape);
  // Sums of a few hundred products below 1.
  await expect(dFilter).toBeAllclose(expected.dFilter, {rtol: 1e-5, atol: 1e-5});
  await expect(dx).toBeAllclose(expected.dx, {rtol: 1e-5, atol: 1e-5});
  tf.dispose([dFilter, dx]);
}

async function checkRandomCases(
  kind: {depthwise: boolean; dilated: boolean},
  count: number,
): Promise<void> {
  const random = new Random(7);
  for (let i = 0; i < count; i++) {
    const convCase = randomConvCase(random, kind);
    try {
      await checkCase(convCase, random);
    } catch (error) {
      throw new Error(`for ${JSON.stringify(convCase)}`, {cause: error});
    }
  }
}

const plain: ConvCase = {
  inputShape: [2, 5, 5, 3],
  filterShape: [3, 3, 3, 4],
  strides: [1, 1],
  dilations: [1, 1],
  pad: 'same',
  depthwise: false,
};

describe.each([false, true])('gradients of a convolution, depthwise: %s', depthwise => {
  it('equal their definition for 150 random convolutions', async () => {
    await checkRandomCases({depthwise, dilated: false}, 150);
  });

  const cases: Record<string, Partial<ConvCase>> = {
    '1×1': {filterShape: [1, 1, 3, 4]},
    '1×1, strided': {filterShape: [1, 1, 3, 4], strides: [2, 2]},
    'strided, an odd image': {inputShape: [1, 7, 9, 3], strides: [2, 2]},
    'strided, an even image': {inputShape: [3, 8, 6, 3], strides: [2, 2]},
    'a stride larger than the filter': {inputShape: [2, 11, 11, 3], strides: [5, 4]},
    'a row and a column that no output meets': {
      inputShape: [2, 8, 8, 3],
      strides: [2, 2],
      pad: 'valid',
    },
    'a padding larger than the filter': {
      pad: [
        [0, 0],
        [5, 4],
        [4, 6],
        [0, 0],
      ],
    },
    'a filter as large as the image': {filterShape: [5, 5, 3, 2], pad: 'valid'},
    'a filter that is not square': {filterShape: [1, 4, 3, 2], strides: [1, 3]},
    'one channel': {inputShape: [2, 6, 6, 1], filterShape: [3, 3, 1, 1]},
    // More positions than one group of images has, with a smaller group at the end.
    'many images': {inputShape: [23, 16, 16, 3], filterShape: [3, 3, 3, 2]},
    'an image larger than a group': {
      inputShape: [2, 70, 70, 2],
      filterShape: [3, 3, 2, 2],
    },
  };
  it.each(Object.keys(cases))('equal their definition for %s', async name => {
    await checkCase({...plain, ...cases[name], depthwise}, new Random(1));
  });

  it('leave no tensors behind', () => {
    const convCase = {...plain, strides: [2, 2] as [number, number], depthwise};
    const values = randomConvValues(new Random(1), convCase);
    const count = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()];
    const before = count();
    tf.tidy(() => {
      kernelGradients(convCase, values);
    });
    expect(count()).toEqual(before);
  });
});

it('a convolution of no images has a filter gradient of zeros', async () => {
  const {dFilter, dx} = tf.tidy(() =>
    kernelGradients(
      {...plain, inputShape: [0, 5, 5, 3]},
      {
        x: new Float32Array(0),
        dy: new Float32Array(0),
        filter: new Float32Array(108).fill(1),
      },
    ),
  );
  await expect(dFilter).toBeAllclose(new Float32Array(108));
  expect(dx.shape).toEqual([0, 5, 5, 3]);
  tf.dispose([dFilter, dx]);
});

describe('on the wasm backend', () => {
  it('dilated depthwise gradients equal their definition', async () => {
    await checkRandomCases({depthwise: true, dilated: true}, 150);
  });

  const dy = () => tf.ones([1, 4, 4, 2]);
  const filter = () => tf.ones([3, 3, 3, 2]);
  const attrs = {strides: 1, pad: 'same', dataFormat: 'NHWC', inputShape: [1, 4, 4, 3]};
  const run = (inputs: tf.NamedTensorMap, attributes: object) => () =>
    tf.tidy(() => {
      tf.engine().runKernel(
        tf.Conv2DBackpropInput,
        inputs,
        attributes as tf.NamedAttrMap,
      );
    });

  it('refuses NCHW, a wrong dtype and a wrong shape of dy, and leaks nothing', () => {
    tf.tidy(() => {
      const count = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()];
      const tensors = {dy: dy(), filter: filter()};
      const integers = {...tensors, dy: tf.cast(tensors.dy, 'int32')};
      const before = count();
      expect(run(tensors, {...attrs, dataFormat: 'NCHW'})).toThrow(
        "Conv2DBackpropInput of the wasm backend expects dataFormat 'NHWC'. " +
          'Received: "NCHW"',
      );
      expect(run(integers, attrs)).toThrow(
        'Conv2DBackpropInput of the wasm backend expects dy to be float32. ' +
          'Received: "int32"',
      );
      expect(run(tensors, {...attrs, inputShape: [1, 5, 4, 3]})).toThrow(
        'Conv2DBackpropInput of the wasm backend expects dy to have shape [1,5,4,2], that of the output of ' +
          'the convolution of input [1,5,4,3] with filter [3,3,3,2]. ' +
          'Received: [1,4,4,2]',
      );
      expect(count()).toEqual(before);
    });
  });
});
