import {useBackend} from '@resbatchnorm/tools-common/backends';
import * as tf from '@tensorflow/tfjs-core';

import {PeakMeter} from './training_step.js';

beforeAll(() => useBackend('cpu'));

it('sees what was there only for a while', () => {
  const before = tf.ones([1000]);
  const meter = new PeakMeter();
  const kept = tf.tidy(() => {
    const large = tf.ones([100]);
    return tf.sum(tf.add(large, 1));
  });
  meter.remove();
  // Two of 100 values, the scalars 1 and the sum: 4 bytes each.
  expect(meter.peak.numBytes).toBeGreaterThanOrEqual(4 * 200);
  expect(meter.peak.numBytes).toBeLessThan(4 * 300);
  tf.dispose([before, kept]);
});

it('counts a buffer that two tensors share once', () => {
  const meter = new PeakMeter();
  const x = tf.ones([100]);
  const shared = tf.reshape(x, [10, 10]);
  meter.remove();
  expect(meter.peak).toEqual({numBytes: 4 * 200, bufferBytes: 4 * 100});
  tf.dispose([x, shared]);
});

it('starts anew from what is there', () => {
  const meter = new PeakMeter();
  const x = tf.ones([100]);
  tf.ones([1000]).dispose();
  meter.restart();
  meter.remove();
  expect(meter.peak).toEqual({numBytes: 4 * 100, bufferBytes: 4 * 100});
  x.dispose();
});

it('sees no more once it is removed', () => {
  const meter = new PeakMeter();
  meter.remove();
  tf.ones([10]).dispose();
  expect(meter.peak).toEqual({numBytes: 0, bufferBytes: 0});
});
