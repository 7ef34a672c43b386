/**
 * What small calls cost: on a batch so small, the time is that of all that is done around the
 * kernels.
 */
import {resBatchNorm} from '@resbatchnorm/layer';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {type Phase, smallShape} from './cases.js';
import {type PreparedTask, tensorContender} from './contender.js';

const layers = {ours: resBatchNorm, builtIn: tfl.layers.batchNormalization};

/**
 * Calls of the layers on one batch. In training the moving statistics are updated, too; beside
 * them is the least that has a gradient, a multiplication.
 */
export function prepareDispatch(phase: Phase): PreparedTask {
  const [x, y, dy] = [1, 2, 3].map(seed =>
    tf.randomNormal([...smallShape], 0, 1, 'float32', seed),
  );
  const calls: Record<string, () => tf.Tensor[]> = {};
  const models: tfl.LayersModel[] = [];
  for (const [name, makeLayer] of Object.entries(layers)) {
    const layer = makeLayer({momentum: 0.9, inputShape: smallShape.slice(1)});
    models.push(tfl.sequential({layers: [layer]}));
    calls[name] =
      phase === 'training' ? trainingCall(layer, x, dy) : inferenceCall(layer, x);
  }
  if (phase === 'training') calls.multiplication = () => tf.grads(tf.mul)([x, y], dy);
  return {
    contenders: Object.fromEntries(
      Object.entries(calls).map(([name, call]) => [name, tensorContender(call)]),
    ),
    dispose() {
      tf.dispose([x, y, dy]);
      for (const model of models) model.dispose();
    },
  };
}

/** The gradients of x, gamma and beta, as in the training of a network. */
function trainingCall(layer: tfl.layers.Layer, x: tf.Tensor, dy: tf.Tensor) {
  const inputs = [x, ...layer.trainableWeights.map(weight => weight.read())];
  const gradients = tf.grads(() => layer.apply(x, {training: true}) as tf.Tensor);
  return () => gradients(inputs, dy);
}

function inferenceCall(layer: tfl.layers.Layer, x: tf.Tensor) {
  return () => [layer.apply(x, {training: false}) as tf.Tensor];
}
