/**
 * A thousand random convolutions and poolings a run: values and gradients equal those of
 * native TensorFlow and of the definitions. What has none is refused.
 */
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';

import {define} from '../test/image_op_definitions';
import {
  isDefined,
  isNative,
  OpCase,
  opCases,
  randomInputs,
  runNatively,
  runOp,
  shapesOf,
  Values,
} from '../test/image_ops';

declare const testedBackends: string[];

const isTensorflowThere = testedBackends.includes('tensorflow');

/** The same cases in every run; fast-check names the seed and the path to a failure. */
const SEED = 20;

const countTensors = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()];

function expectClose(received: Values, expected: Values, source: string): void {
  for (const [name, values] of Object.entries(received)) {
    const wanted = expected[name];
    // Sums of a few hundred products below 1.
    const isWrong = (value: number, i: number) =>
      !(Math.abs(value - wanted[i]) <= 2e-5 + 2e-5 * Math.abs(wanted[i]));
    const wrong = Array.from(values).findIndex(isWrong);
    if (wrong < 0 && values.length === wanted.length) continue;
    throw new Error(
      `${name} has ${values.length} values, ${source} ${wanted.length}; number ${wrong} ` +
        `is ${values[wrong]} in place of ${wanted[wrong]}.`,
    );
  }
}

describe('random convolutions and poolings', () => {
  beforeAll(async () => {
    if (isTensorflowThere) await import('@tensorflow/tfjs-node-gpu');
  });

  afterEach(async () => {
    await tf.setBackend('wasm');
  });

  async function run(opCase: OpCase) {
    await tf.setBackend('wasm');
    const shapes = shapesOf(opCase);
    const values = randomInputs(opCase, shapes);
    const before = countTensors();
    const received = runOp(opCase, shapes, values);
    expect(countTensors()).toEqual(before);
    return {shapes, values, received};
  }

  const defined = opCases.filter(isDefined);

  it('equal their definitions', async () => {
    await fc.assert(
      fc.asyncProperty(defined, async opCase => {
        const {shapes, values, received} = await run(opCase);
        const expected = define(opCase, shapes, values);
        if (expected !== null) expectClose(received, expected, 'the definition');
      }),
      {numRuns: 1000, seed: SEED},
    );
  });

  (isTensorflowThere ? it : it.skip)('equal native TensorFlow', async () => {
    await fc.assert(
      fc.asyncProperty(defined.filter(isNative), async opCase => {
        const {shapes, values, received} = await run(opCase);
        await tf.setBackend('tensorflow');
        const expected = runNatively(opCase, shapes, values);
        expectClose(received, expected, 'native TensorFlow');
      }),
      {numRuns: 1000, seed: SEED},
    );
  });

  it('are refused where they have no definition', async () => {
    // Slopes and what a transposed convolution takes would need sizes below 0.
    const hasInputs = ({op, activation}: OpCase) =>
      !op.endsWith('Transpose') && activation !== 'prelu';
    await fc.assert(
      fc.asyncProperty(
        opCases.filter(opCase => hasInputs(opCase) && !isDefined(opCase)),
        async opCase => {
          const shapes = {...shapesOf(opCase), y: []};
          const values = randomInputs(opCase, shapes);
          const before = countTensors();
          expect(() => runOp(opCase, shapes, values)).toThrow(
            'of the wasm backend expects',
          );
          expect(countTensors()).toEqual(before);
          await Promise.resolve();
        },
      ),
      {numRuns: 200, seed: SEED},
    );
  });
});
