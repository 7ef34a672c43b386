/** Which callbacks run on one replica alone, where several train together. */
import {tmpdir} from 'node:os';

import '@tensorflow/tfjs-backend-cpu';

import {AllCallbacks} from '../test/all_callbacks';

test('those that write or print', () => {
  const everySteps = {summary: 1, checkpoint: 1};
  const ours = new AllCallbacks(tmpdir(), everySteps).all.filter(
    callback => 'onChiefOnly' in callback,
  ) as unknown as {onChiefOnly: boolean; constructor: {name: string}}[];
  expect(
    ours.map(({onChiefOnly, constructor}) => [constructor.name, onChiefOnly]),
  ).toEqual([
    ['UpdateOpsCheck', false],
    ['PhaseGapCheck', false],
    ['MovingStatisticsSummary', true],
    ['ModelCheckpoint', true],
    ['EarlyStopping', false],
    ['ProgressBar', true],
  ]);
});
