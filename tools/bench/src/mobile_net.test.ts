import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import {mobileNet, type MobileNetNorm, mobileNetNorms} from './mobile_net.js';

const imageShape = [96, 96, 3];

beforeAll(() => useBackend('cpu'));

function count(norm: MobileNetNorm, className: string): number {
  return mobileNet(imageShape, norm).layers.filter(
    layer => layer.getClassName() === className,
  ).length;
}

it('has 33 norms, each followed by ReLU', () => {
  expect(count('ours', 'ResBatchNorm')).toBe(33);
  expect(count('ours', 'ReLU')).toBe(33);
  expect(count('ours with activation', 'ResBatchNorm')).toBe(33);
  expect(count('ours with activation', 'ReLU')).toBe(0);
  expect(count('builtIn', 'BatchNormalization')).toBe(33);
  expect(count('builtIn', 'ReLU')).toBe(33);
  expect(count('none', 'ReLU')).toBe(33);
});

it('is the same function with each kind of norm', async () => {
  const images = tf.randomNormal([2, ...imageShape], 0, 1, 'float32', 1);
  const outputs = Object.fromEntries(
    await Promise.all(
      mobileNetNorms.map(async norm => {
        const output = mobileNet(imageShape, norm).predict(images) as tf.Tensor;
        return [norm, Array.from(await output.data())] as const;
      }),
    ),
  );
  const expected = outputs.builtIn.map(value => expect.closeTo(value, 7));
  expect(outputs.ours).toEqual(expected);
  expect(outputs['ours with activation']).toEqual(expected);
  expect(outputs.none).not.toEqual(expected);
});
