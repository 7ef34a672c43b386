/** Moving statistics that are not the same on all replicas that train together. */
import {setReplicaGroup} from '@resbatchnorm/layer/introspection';
import * as tf from '@tensorflow/tfjs-core';

import {UpdateOpsCheck} from '..';
import {collectingCheck} from '../../test/collecting_check';
import {denseModel, kinds} from '../../test/models';

afterEach(() => setReplicaGroup(null));

/** Three replicas, the second of which has other values where `differs` says so. */
function replicas(differs: (index: number) => boolean) {
  const gather = jest.fn((_name: string, values: Float64Array) => [
    values,
    values.map((value, i) => (differs(i) ? value + 1 : value)),
    values.slice(),
  ]);
  setReplicaGroup({size: 3, rank: 0, share: 1 / 3, gather});
  return gather;
}

describe.each(kinds)('%s', (className, norm) => {
  const model = () => denseModel(norm({name: 'a'}), norm({name: 'b'}));

  test('a statistic that differs is named, with its layer and replica', async () => {
    const gather = replicas(index => index === 3);
    const {check, violations} = collectingCheck();
    await check.checkStatistics(model());
    expect(gather).toHaveBeenCalledTimes(1);
    expect(violations).toEqual([
      {
        layer: 'b',
        className,
        reason: 'differs on replicas',
        severity: 'error',
        message: expect.stringContaining('moving_variance of replica 1 is not that of'),
        when: 'after step 0',
      },
    ]);
  });

  test('equal ones are fine, and one value changes the checksum', async () => {
    const gather = replicas(() => false);
    const {check, violations} = collectingCheck();
    const one = model();
    await check.checkStatistics(one);
    expect(violations).toEqual([]);
    const [[, before]] = gather.mock.calls;
    const b = one.getLayer('b');
    b.setWeights([...b.getWeights().slice(0, 3), tf.tensor1d([1, 1, 1, 1.0000001])]);
    await check.checkStatistics(one);
    const [, [, after]] = gather.mock.calls;
    expect([...after].map((value, i) => value === before[i])).toEqual(
      [true, true, true, false], // means and variances of a, then of b
    );
  });
});

test('a process that trains alone compares nothing', async () => {
  await new UpdateOpsCheck().checkStatistics(denseModel(kinds[0][1]()));
});

test('what gather throws is passed on', async () => {
  replicas(() => {
    throw new Error('replica 2 is gone');
  });
  const check = new UpdateOpsCheck().checkStatistics(denseModel(kinds[0][1]()));
  await expect(check).rejects.toThrow('replica 2 is gone');
});
