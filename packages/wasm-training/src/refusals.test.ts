/** What the kernels refuse, with which error, and that nothing is computed or left before it. */
import '@tensorflow/tfjs-layers'; // registers the gradients
import * as tf from '@tensorflow/tfjs-core';

const x = () => tf.ones([1, 4, 5, 2]) as tf.Tensor4D;
const frames = () => tf.ones([1, 3, 4, 5, 2]) as tf.Tensor5D;
const filter = (...sizes: [number, number, number, number]) =>
  tf.ones(sizes) as tf.Tensor4D;
const conv = (pad: unknown, strides = 1, images: tf.Tensor = x()) =>
  tf.conv2d(images as tf.Tensor4D, filter(2, 2, 2, 3), strides, pad as 'same');
const pads =
  "pad to be 'same', 'valid', an integer not below 0, or a list of [before, after] for the " +
  '4 dimensions of the images, [0, 0] for batch and channels. Received: ';
const onlyPadding =
  'each window to hold a value of the image [1,4,5,2], not only padding. Received: ';

const refusals: Record<string, [() => tf.Tensor, string]> = {
  'a padding below 0': [() => conv(-1), `Conv2D of the wasm backend expects ${pads}-1`],
  'a padding of a part of a pixel': [
    () => conv(0.5),
    `Conv2D of the wasm backend expects ${pads}0.5`,
  ],
  'a padding of NaN': [() => conv(NaN), `Conv2D of the wasm backend expects ${pads}NaN`],
  'no padding': [
    () => conv(undefined),
    `Conv2D of the wasm backend expects ${pads}undefined`,
  ],
  'a padding of the batch': [
    () =>
      conv([
        [1, 0],
        [0, 0],
        [0, 0],
        [0, 0],
      ]),
    `Conv2D of the wasm backend expects ${pads}[[1,0],[0,0],[0,0],[0,0]]`,
  ],
  'a list for too few dimensions': [
    () =>
      conv([
        [1, 1],
        [1, 1],
      ]),
    `Conv2D of the wasm backend expects ${pads}[[1,1],[1,1]]`,
  ],
  'a stride of a part of a pixel': [
    () => conv('valid', 1.5),
    'Conv2D of the wasm backend expects strides to be 2 integers above 0. Received: 1.5',
  ],
  'strides of 0 in a pooling': [
    () => tf.maxPool(x(), 2, 0, 'valid'),
    'MaxPool of the wasm backend expects strides to be 2 integers above 0. Received: 0',
  ],
  'an image smaller than the filter': [
    () => conv('valid', 1, tf.ones([1, 4, 1, 2])),
    'Conv2D of the wasm backend expects the padded image to be as large as the window, ' +
      '2 in axis 2. Received: 1',
  ],
  'an empty image': [
    () => conv('same', 1, tf.ones([1, 0, 3, 2])),
    'Conv2D of the wasm backend expects the size of the image to be 2 integers above 0. ' +
      'Received: [0,3]',
  ],
  'images in the format NCHW': [
    () => tf.conv2d(x(), filter(2, 2, 4, 3), 1, 'same', 'NCHW'),
    'Conv2D of the wasm backend expects dataFormat \'NHWC\'. Received: "NCHW"',
  ],
  'an unknown rounding': [
    () =>
      tf.conv2d(x(), filter(2, 2, 2, 3), 2, 1, 'NHWC', 1, 'up' as unknown as undefined),
    "Conv2D of the wasm backend expects dimRoundingMode 'floor', 'round' or 'ceil'. " +
      'Received: "up"',
  ],
  'a filter for other channels': [
    () =>
      tf
        .engine()
        .runKernel(
          tf.DepthwiseConv2dNative,
          {x: x(), filter: filter(2, 2, 3, 1)},
          {strides: 1, pad: 'same'},
        ),
    'DepthwiseConv2dNative of the wasm backend expects a filter of 4 dimensions for the ' +
      'channels of input [1,4,5,2]. Received: [2,2,3,1]',
  ],
  'integers in a 3-D pooling': [
    () => tf.maxPool3d(tf.cast(frames(), 'int32'), 2, 2, 'valid'),
    'MaxPool3D of the wasm backend expects x to be float32. Received: "int32"',
  ],
  'a max pooling of padding': [
    () => tf.maxPool(x(), [2, 1], 1, 1),
    `MaxPool of the wasm backend expects ${onlyPadding}{"filterSize":[2,1],"strides":1,"pad":1}`,
  ],
  'an average pooling whose last window lies outside': [
    () => tf.avgPool(x(), 1, 3, 0, 'ceil'),
    `AvgPool of the wasm backend expects ${onlyPadding}{"filterSize":1,"strides":3,"pad":0,` +
      '"dimRoundingMode":"ceil"}',
  ],
  'the gradient of another output': [
    () =>
      tf
        .engine()
        .runKernel(
          tf.AvgPoolGrad,
          {dy: tf.ones([1, 2, 3, 2]), input: x()},
          {filterSize: 2, strides: 2, pad: 'valid'},
        ),
    'AvgPoolGrad of the wasm backend expects dy to have shape [1,2,2,2], that of the output ' +
      'of the pooling of input [1,4,5,2]. Received: [1,2,3,2]',
  ],
  'the input of a transposed convolution that no output size gives': [
    () => tf.conv2dTranspose(x(), filter(2, 2, 3, 2), [1, 9, 9, 3], 2, 'same'),
    'Conv2DBackpropInput of the wasm backend expects dy to have shape [1,5,5,2], that of ' +
      'the output of the convolution of input [1,9,9,3] with filter [2,2,3,2]. ' +
      'Received: [1,4,5,2]',
  ],
  'prelu without slopes': [
    () =>
      tf.fused.conv2d({
        x: x(),
        filter: filter(1, 1, 2, 3),
        strides: 1,
        pad: 'same',
        activation: 'prelu',
      }),
    'FusedConv2D of the wasm backend expects slopes for the activation prelu. ' +
      'Received: undefined',
  ],
  'a bias for each pixel': [
    () =>
      tf.fused.depthwiseConv2d({
        x: x(),
        filter: filter(1, 1, 2, 1),
        strides: 1,
        pad: 'same',
        bias: tf.ones([4, 5, 2]),
      }),
    'FusedDepthwiseConv2D of the wasm backend expects a float32 bias with one value, or one ' +
      'for each of 2 channels. Received: "float32 [4,5,2]"',
  ],
  'an activation that it does not have': [
    () =>
      tf.fused.conv2d({
        x: x(),
        filter: filter(1, 1, 2, 3),
        strides: 1,
        pad: 'same',
        activation: 'tanh' as 'relu',
      }),
    'FusedConv2D of the wasm backend expects an activation of linear, relu, relu6, elu, ' +
      'sigmoid, prelu, leakyrelu. Received: "tanh"',
  ],
  'slopes larger than x': [
    () => tf.prelu(tf.ones([2]), tf.ones([3, 2])),
    'Prelu of the wasm backend expects float32 slopes that broadcast to [2]. ' +
      'Received: "float32 [3,2]"',
  ],
  // What tfjs-core itself refuses.
  'the gradient of a dilated convolution': [
    () =>
      tf.grad(images =>
        tf.conv2d(images as tf.Tensor4D, filter(2, 2, 2, 3), 1, 'same', 'NHWC', 2),
      )(x()),
    'Error in gradient of conv2D: dilation rates greater than 1 are not yet supported in ' +
      "gradients. Got dilations '2'",
  ],
};

it.each(Object.keys(refusals))('refuses %s', name => {
  const [run, message] = refusals[name];
  const count = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()];
  const before = count();
  expect(() => tf.tidy(run)).toThrow(new Error(message));
  // tfjs leaves what the tape of a gradient had saved when an op throws.
  if (!message.startsWith('Error in gradient')) expect(count()).toEqual(before);
});
