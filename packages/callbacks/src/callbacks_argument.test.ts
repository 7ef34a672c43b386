/** What users pass as `callbacks`: classes, plain objects, one instance twice. */
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

import {compile, denseModel, makeBatch, makeDataset, resBatchNorm} from '../test/models';
import {
  EarlyStopping,
  MovingStatisticsSummary,
  PhaseGapCheck,
  ProgressBar,
  UpdateOpsCheck,
} from '.';
import {ModelCheckpoint} from './node';

type Train = (callbacks: unknown, model?: tfl.LayersModel) => Promise<tfl.History>;

const makeModel = () => compile(denseModel(resBatchNorm({name: 'bn'})));

/** Two steps in each of two epochs. */
const trainings: [string, Train][] = [
  [
    'fit',
    async (callbacks, model = makeModel()) => {
      const {xs, ys} = makeBatch(16);
      const args = {batchSize: 8, epochs: 2, verbose: 0} as const;
      try {
        return await model.fit(xs, ys, {...args, callbacks: callbacks as tfl.Callback[]});
      } finally {
        tf.dispose([xs, ys]);
      }
    },
  ],
  [
    'fitDataset',
    (callbacks, model = makeModel()) =>
      model.fitDataset(makeDataset(2), {
        epochs: 2,
        verbose: 0,
        callbacks: callbacks as tfl.Callback[],
      }),
  ],
];

const withoutArguments = [UpdateOpsCheck, EarlyStopping, ProgressBar];
const withArguments = [PhaseGapCheck, MovingStatisticsSummary, ModelCheckpoint];

describe.each(trainings)('in %s', (_name, train) => {
  test.each<[string, (check: UpdateOpsCheck) => unknown[], string]>([
    ['false', check => [check, false], 'callbacks[1]'],
    ['undefined', check => [undefined, check], 'callbacks[0]'],
    ['a function', check => [check, () => {}], 'callbacks[1]'],
    ['an array', check => [check, [new ProgressBar()]], 'callbacks[1]'],
    ['a promise', check => [check, Promise.resolve(check)], 'callbacks[1]'],
    ['a hook of no name', check => [check, {onEpochend() {}}], 'callbacks[1]'],
  ])('%s beside an instance is an error that says where', async (_what, list, where) => {
    await expect(train(list(new UpdateOpsCheck()))).rejects.toThrow(
      `${where} must be a callback: an instance, or a plain object with onTrainBegin, onTrainEnd, `,
    );
  });

  describe('a class in place of an instance is an error that says so:', () => {
    const message = (name: string, call: string) =>
      `${name}: callbacks must be instances: ${call}. Received: the class ${name} itself`;
    const classes: [string, string, object][] = [
      ...withoutArguments.map((one): [string, string, object] => [
        one.name,
        `new ${one.name}()`,
        one,
      ]),
      ...withArguments.map((one): [string, string, object] => [
        one.name,
        `new ${one.name}({…}) with the arguments that it needs`,
        one,
      ]),
    ];

    test.each(classes)('%s', async (name, call, one) => {
      const before = tf.memory().numTensors;
      const model = makeModel();
      const lists = [
        one,
        [one],
        [one, new UpdateOpsCheck()],
        [new UpdateOpsCheck(), one],
        [{onEpochEnd() {}}, one],
        [new UpdateOpsCheck(), {onEpochEnd() {}}, one],
      ];
      for (const list of lists) {
        const training = train(list, model);
        await expect(training).rejects.toMatchObject({
          name: 'ValueError',
          message: message(name, call),
        });
      }
      expect(model.optimizer.iterations).toBe(0);
      model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  describe('plain objects of functions', () => {
    const seen: string[] = [];
    const plain = {
      onTrainBegin: async () => void seen.push('begin'),
      onBatchEnd: async (batch: number, logs?: tfl.Logs) =>
        void seen.push(`batch ${batch}, ${typeof logs!['loss']}`),
      onEpochEnd: (epoch: number, logs?: tfl.Logs) =>
        void seen.push(`epoch ${epoch}, ${Object.keys(logs!)}`),
    };
    const epoch = ['batch 0, number', 'batch 1, number'];
    const expected = ['begin', ...epoch, 'epoch 0, loss', ...epoch, 'epoch 1, loss'];

    beforeEach(() => {
      seen.length = 0;
    });

    test.each<[string, (check: UpdateOpsCheck) => unknown[]]>([
      ['before an instance', check => [plain, check]],
      ['behind an instance', check => [check, plain]],
      [
        'between instances',
        check => [tfl.callbacks.earlyStopping({monitor: 'loss'}), plain, check],
      ],
      ['as tf.CustomCallback', check => [check, new tfl.CustomCallback(plain)]],
    ])('work %s', async (_where, listOf) => {
      const check = new UpdateOpsCheck();
      const list = listOf(check);
      const before = [...list];
      await train(list);
      expect(seen).toEqual(expected);
      expect(check.report()).toMatchObject([{steps: 4, updates: 4}]);
      // The user's list is the user's.
      expect(list).toEqual(before);
    });

    test('work without instances as before, and so do none', async () => {
      for (const callbacks of [plain, [plain], undefined, []]) await train(callbacks);
      expect(seen).toEqual([...expected, ...expected]);
    });

    test('are told of the epochs before and behind an error, which leaks nothing', async () => {
      class Failing extends UpdateOpsCheck {
        protected override stepEnd(): void {
          throw new Error('mine');
        }
      }
      const model = makeModel();
      await train([plain, new UpdateOpsCheck()], model);
      const {numTensors} = tf.memory();
      for (const list of [
        [plain, new Failing()],
        [new Failing(), plain],
      ]) {
        await expect(train(list, model)).rejects.toThrow('mine');
        expect(tf.memory().numTensors).toBe(numTensors);
      }
    });
  });

  describe('one instance', () => {
    const message = (name: string, call: string) =>
      `${name}: an instance can be in one training at a time: make one for each, ${call}. ` +
      'Received: one whose other training is still running';

    test('in two trainings at once is an error of the second; the first goes on', async () => {
      const check = new UpdateOpsCheck();
      const results = await Promise.allSettled([train(check), train([check])]);
      expect(results).toMatchObject([
        {status: 'fulfilled'},
        {reason: {message: message('UpdateOpsCheck', 'new UpdateOpsCheck()')}},
      ]);
      expect(check.report()).toMatchObject([{steps: 4, updates: 4, violations: 0}]);
    });

    test('of another class, too', async () => {
      const check = new PhaseGapCheck({data: makeBatch(8), onGap: () => {}});
      const results = await Promise.allSettled([train(check), train(check)]);
      expect(results).toMatchObject([
        {status: 'fulfilled'},
        {reason: {message: message('PhaseGapCheck', 'new PhaseGapCheck({…})')}},
      ]);
      expect(check.report()).toHaveLength(2);
    });

    test('twice in a list is an error before the first step', async () => {
      const check = new UpdateOpsCheck();
      const model = makeModel();
      await expect(train([check, check], model)).rejects.toThrow(
        'UpdateOpsCheck: an instance can be in the list of callbacks once. Received: the ' +
          'same one twice',
      );
      expect(model.optimizer.iterations).toBe(0);
    });

    test('goes on after trainings that ended or failed, also while their model trains', async () => {
      const check = new UpdateOpsCheck();
      const [first, second] = [makeModel(), makeModel()];
      const stop = new tfl.CustomCallback({
        onBatchEnd: async () => {
          throw new Error('stop');
        },
      });
      await expect(train([check, stop], first)).rejects.toThrow('stop');
      await train(check, second);
      await train(check, first);
      await Promise.all([train(new UpdateOpsCheck(), first), train(check, second)]);
      expect(check.report()).toMatchObject([{violations: 0}, {steps: 8}]);
    });
  });
});
