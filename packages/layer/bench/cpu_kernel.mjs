// Batch normalization in training, forward and backward, on the cpu backend: ResBatchNorm
// against the maths of tf.layers.batchNormalization, interleaved in one run.
//
//     npm run bench -w packages/layer
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import {batchNormTraining} from '@resbatchnorm/layer';

const shapes = [
  [32, 32, 32, 16],
  [32, 8, 8, 64],
  [256, 512],
];
const repetitions = 7;

/** What tf.layers.batchNormalization computes in training: moments, then batchNorm. */
function builtIn(x, gamma, beta) {
  const {mean, variance} = tf.moments(x, [...Array(x.rank - 1).keys()]);
  return tf.batchNorm(x, mean, variance, beta, gamma, 1e-3);
}

const resBatchNorm = (x, gamma, beta) => batchNormTraining(x, gamma, beta).y;

function time(norm, [x, gamma, beta, dy]) {
  const start = performance.now();
  tf.tidy(() => {
    for (const gradient of tf.grads(norm)([x, gamma, beta], dy)) gradient.dataSync();
  });
  return performance.now() - start;
}

const median = values => values.toSorted((a, b) => a - b)[values.length >> 1];

tf.env().set('PROD', true);
await tf.setBackend('cpu');
console.log(
  `tfjs-layers ${tfl.version_layers}, Node ${process.version}, medians of ${repetitions}\n`,
);
console.log('shape              built-in    ResBatchNorm    times faster');
for (const shape of shapes) {
  const channels = shape.at(-1);
  const inputs = [
    tf.randomNormal(shape),
    tf.ones([channels]),
    tf.zeros([channels]),
    tf.randomNormal(shape),
  ];
  const times = {builtIn: [], resBatchNorm: []};
  time(builtIn, inputs);
  // Until the loops are compiled; a training takes thousands of steps.
  for (let i = 0; i < 30; ++i) time(resBatchNorm, inputs);
  for (let i = 0; i < repetitions; ++i) {
    times.builtIn.push(time(builtIn, inputs));
    // Several of the short ones, so that the garbage of the long one does not weigh on all.
    for (let j = 0; j < 9; ++j) times.resBatchNorm.push(time(resBatchNorm, inputs));
  }
  const [a, b] = [median(times.builtIn), median(times.resBatchNorm)];
  console.log(
    `${shape.join('×').padEnd(14)} ${a.toFixed(1).padStart(9)} ms ${b.toFixed(2).padStart(12)} ms ` +
      `${(a / b).toFixed(0).padStart(15)}`,
  );
  tf.dispose(inputs);
}
