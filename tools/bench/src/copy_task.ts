/** Copies a large array on the device: how fast its memory is. */
import * as tf from '@tensorflow/tfjs-core';

import type {Device} from './backends.js';
import {type PreparedTask, tensorContender} from './contender.js';

export function prepareCopy(values: number, {kind}: Device): PreparedTask {
  return kind === 'cpu' ? copyArray(values) : copyTensor(values);
}

function copyArray(values: number): PreparedTask {
  const source = new Float32Array(values).fill(1);
  const target = new Float32Array(values);
  const copy = async (count: number) => {
    for (let i = 0; i < count; i++) target.set(source);
  };
  return {contenders: {copy}, dispose: () => {}};
}

/** There is no op that copies: tf.clone shares the buffer. Negation reads and writes as much. */
function copyTensor(values: number): PreparedTask {
  // Of rank 2, which every backend has in one texture or buffer.
  const x = tf.ones([values / 1024, 1024]);
  return {
    contenders: {copy: tensorContender(() => [tf.neg(x)])},
    dispose: () => x.dispose(),
  };
}
