import {fuseUpdates} from '@resbatchnorm/native/optimizers';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
// For the gradients of the ops.
import '@tensorflow/tfjs-layers';

import {joinGradients, type Join} from './joined_optimizer';

const doubled: Join = gradients => gradients.map(({tensor}) => tf.mul(tensor, 2));

/** What a step by the gradient 1 makes of a variable that was 0. */
function stepOf(optimizer: tf.Optimizer): number {
  const variable = tf.tidy(() => tf.variable(tf.scalar(0)));
  optimizer.minimize(() => tf.sum(variable) as tf.Scalar, false, [variable]);
  const [value] = variable.dataSync();
  variable.dispose();
  return value;
}

/** As fuseUpdates does: at times it leaves a step to what it found. */
function replaced(optimizer: tf.Optimizer): string[] {
  const steps: string[] = [];
  const found = optimizer.applyGradients.bind(optimizer);
  optimizer.applyGradients = gradients => {
    steps.push(steps.length % 2 === 0 ? 'left' : 'own');
    if (steps.at(-1) === 'left') return found(gradients);
    const [{name, tensor}] = gradients as {name: string; tensor: tf.Tensor}[];
    const variable = tf.engine().registeredVariables[name];
    tf.tidy(() => variable.assign(tf.mul(tensor, -100)));
  };
  return steps;
}

it('joins the gradients once, however often it is asked to', () => {
  const optimizer = tf.train.sgd(1);
  joinGradients(optimizer, doubled);
  joinGradients(optimizer, doubled);
  expect(stepOf(optimizer)).toBe(-2);
});

it.each(['before', 'after'])('with another applyGradients, set %s', when => {
  const optimizer = tf.train.sgd(1);
  if (when === 'after') joinGradients(optimizer, doubled);
  const steps = replaced(optimizer);
  if (when === 'before') joinGradients(optimizer, doubled);
  expect([stepOf(optimizer), stepOf(optimizer)]).toEqual([-2, -200]);
  expect(steps).toEqual(['left', 'own']);
});

it.each(['before', 'after'])('with fuseUpdates %s', when => {
  const optimizer = tf.train.momentum(1, 0.5);
  if (when === 'before') fuseUpdates(optimizer);
  joinGradients(optimizer, doubled);
  if (when === 'after') fuseUpdates(optimizer);
  expect(stepOf(optimizer)).toBe(-2);
});

it('leaves no tensor behind, also if the step fails', () => {
  const optimizer = tf.train.sgd(1);
  joinGradients(optimizer, doubled);
  const {numTensors} = tf.memory();
  stepOf(optimizer);
  expect(tf.memory().numTensors).toBe(numTensors);
  optimizer.applyGradients = () => {
    throw new Error('out of memory');
  };
  const gradient = tf.scalar(1);
  expect(() => optimizer.applyGradients([{name: 'a', tensor: gradient}])).toThrow('out');
  gradient.dispose();
  expect(tf.memory().numTensors).toBe(numTensors);
});

it('takes gradients by name, and those that are not there, each in its place', () => {
  const optimizer = tf.train.momentum(1, 0.5);
  const join = jest.fn(doubled);
  joinGradients(optimizer, join);
  const [a, b] = ['a', 'b'].map(name => tf.variable(tf.scalar(0), true, name));
  const gradient = tf.scalar(1);
  optimizer.applyGradients({a: undefined as never, b: gradient as never});
  optimizer.applyGradients([
    {name: 'a', tensor: gradient},
    {name: 'b', tensor: gradient},
  ]);
  expect(join.mock.calls.map(([list]) => list.map(({name}) => name))).toEqual([
    ['b'],
    ['a', 'b'],
  ]);
  // The second step of b has the momentum of its first: −2 − (2 + 0.5·2).
  expect([a, b].map(variable => variable.dataSync()[0])).toEqual([-2, -5]);
});
