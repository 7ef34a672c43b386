import util from 'node:util';

import {hasNodeFault, restoreIsNullOrUndefined} from './node_fault.js';

describe('restoreIsNullOrUndefined', () => {
  const target = util as {isNullOrUndefined?: unknown};
  const original = target.isNullOrUndefined;
  afterEach(() => {
    target.isNullOrUndefined = original;
  });

  it('puts the function back where Node has it not', () => {
    delete target.isNullOrUndefined;
    restoreIsNullOrUndefined();
    const restored = target.isNullOrUndefined as (value: unknown) => boolean;
    expect([null, undefined, 0, '', false].map(restored)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it("leaves Node's own", () => {
    const own = () => true;
    target.isNullOrUndefined = own;
    restoreIsNullOrUndefined();
    expect(target.isNullOrUndefined).toBe(own);
  });
});

it.each([
  ['20.19.0', false],
  ['22.20.0', false],
  ['23.0.0', true],
  ['24.1.0', true],
])('Node %s has the fault: %s', (version, expected) => {
  expect(hasNodeFault(version)).toBe(expected);
});
